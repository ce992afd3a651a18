use super::*;
use crate::decision::{self, Decision};

const PLAN: &str = include_str!("../../../fixtures/runs/one-round/plan.json");

struct Run {
    plan: Plan,
    events: Vec<Event>,
    decision: Decision,
}

impl Run {
    fn side(&self) -> Side<'_> {
        Side { plan: &self.plan, events: &self.events, decision: &self.decision }
    }
}

fn run(change: impl FnOnce(&mut Plan, &mut Vec<Event>)) -> Run {
    let mut plan: Plan = serde_json::from_str(PLAN).unwrap();
    let fact = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    plan.facts = [
        fact("machine processor", "AMD EPYC, 2 cores"),
        fact("machine kernel", "6.1"),
        fact("engine version", "20.10.24"),
        fact("engine store", "overlay2"),
        fact("engine", "unix:///var/run/docker.sock"),
    ]
    .into();
    let hashes = [fact("workload article", "sha256:1")].into();
    let mut events = vec![
        Event::Contents { hashes },
        Event::RunEnded {
            ending: Ending::Complete,
            reason: String::new(),
            at: String::new(),
            duration_s: 1.0,
        },
    ];
    change(&mut plan, &mut events);
    let decision = decision::decide(&plan, &[]);
    Run { plan, events, decision }
}

fn found(base: &Run, new: &Run) -> Differences {
    differences(&base.side(), &new.side())
}

fn breaking(change: impl FnOnce(&mut Plan, &mut Vec<Event>)) -> Vec<String> {
    found(&run(|_, _| ()), &run(change)).breaking
}

#[test]
fn another_run_of_the_same_is_comparable() {
    let other = run(|plan, _| {
        plan.run = "other".to_owned();
        plan.seed = 7;
        plan.rounds = 9;
        // Where things lie, and how the daemon is reached, is not what they are.
        plan.config = "/elsewhere/breakeven.toml".into();
        plan.workloads.values_mut().for_each(|one| one.context = "/elsewhere".into());
        plan.facts.insert("engine".to_owned(), "tcp://127.0.0.1:1".to_owned());
        // Only one of them has it: its cells have no pair.
        plan.links.insert("office".to_owned(), LinkPlan::default());
    });
    assert_eq!(found(&run(|_, _| ()), &other), Differences::default());
}

#[test]
fn machine_engine_content_and_link_break_the_pairing() {
    let fact = |key: &'static str, value: &'static str| {
        breaking(move |plan, _| drop(plan.facts.insert(key.to_owned(), value.to_owned())))
    };
    let processor = "machine processor: was AMD EPYC, 2 cores, is Intel Xeon, 4 cores";
    assert_eq!(fact("machine processor", "Intel Xeon, 4 cores"), [processor]);
    assert_eq!(
        fact("engine version", "26.1.5"),
        ["engine shared version: was 20.10.24, is 26.1.5"]
    );
    assert_eq!(fact("engine store", "x"), ["engine shared store: was overlay2, is x"]);
    let content = breaking(|_, events| {
        let hashes = [("workload article".to_owned(), "sha256:2".to_owned())].into();
        events[0] = Event::Contents { hashes };
    });
    assert_eq!(content, ["workload article: was sha256:1, is sha256:2"]);
    let link = breaking(|plan, _| {
        plan.links.values_mut().for_each(|link| link.down_bps = Some(1e6));
    });
    assert_eq!(link, ["links.unshaped.down_bps: was not there, is 1000000.0"]);
    let target = breaking(|plan, _| {
        plan.workloads.values_mut().for_each(|one| one.target = Some("builder".to_owned()));
    });
    assert_eq!(target, ["workloads.article.target: was not there, is \"builder\""]);
}

#[test]
fn an_engine_of_a_run_is_what_it_turned_out_to_be() {
    let with = |version: &'static str| {
        run(move |_, events| {
            let [engine, version, store] = ["shared", version, "overlayfs"].map(str::to_owned);
            events.push(Event::EngineFacts { engine, version, store });
        })
    };
    assert_eq!(found(&with("26"), &with("26")).breaking, [""; 0]);
    let lines = found(&with("26"), &with("27")).breaking;
    assert_eq!(lines, ["engine shared version: was 26, is 27"]);
}

#[test]
fn a_limited_link_that_was_measured_to_be_another_breaks_the_pairing() {
    let with = |down_bps: f64, limited: bool| {
        run(move |plan, events| {
            let down = limited.then_some(20e6);
            plan.links
                .insert("slow".to_owned(), LinkPlan { down_bps: down, ..LinkPlan::default() });
            let (link, up_bps, rtt_s) = ("slow".to_owned(), 9e9 * down_bps, 0.001 * down_bps);
            events.push(Event::LinkMeasured { link, down_bps, up_bps, rtt_s });
        })
    };
    let lines = found(&with(20e6, true), &with(17e6, true)).breaking;
    assert_eq!(
        lines,
        ["link slow, down as measured: was 20000000.0000 bit/s, is 17000000.0000 bit/s"]
    );
    assert_eq!(found(&with(20e6, true), &with(19e6, true)).breaking, [""; 0]);
    assert_eq!(found(&with(20e6, false), &with(9e6, false)).breaking, [""; 0]);
}

#[test]
fn what_only_a_reader_has_to_know_is_a_note() {
    let notes = found(
        &run(|_, _| ()),
        &run(|plan, events| {
            plan.facts.insert("machine kernel".to_owned(), "6.2".to_owned());
            plan.breakeven = "0.2.0".to_owned();
            plan.changes.values_mut().for_each(|change| change.weight = 1.0);
            plan.relevance.seconds = 2.0;
            events.clear();
        }),
    );
    assert_eq!(notes.breaking, [""; 0]);
    insta::assert_snapshot!(notes.notes.join("\n"), @r#"
    machine kernel: was 6.1, is 6.2
    NEW does not record what was built: take care that it is the same
    breakeven: was "0.1.0", is "0.2.0"
    relevance.seconds: was 1.0, is 2.0
    weights.changes.app: was 7.0, is 1.0
    weights.changes.deps: was 3.0, is 1.0
    weights.changes.none: was 0.0, is 1.0
    NEW is partial: not every planned round was measured
    BASE and NEW are the same run, 20260302-090000-k7
    "#);
}
