//! What is shown while a run goes on: one bar on a terminal, plain lines elsewhere.

use super::output;
use crate::model::{Event, Phase, Status};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

/// Shows events as they happen.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    sample: u32,
    of: u32,
    round: u32,
    cell: String,
    not_ok: u32,
}

impl Progress {
    /// A bar if stderr is a terminal (and not under `CI`), plain lines otherwise.
    pub fn new() -> Self {
        let bar = (io::stderr().is_terminal() && !output::is_set("CI")).then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant; if it were wrong, the default style is shown.
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:24} {pos}/{len}  {elapsed} gone, about {eta} left  {wide_msg}",
            ) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self { bar, current: Mutex::new(Current::default()) }
    }

    /// Shows one event.
    pub fn show(&self, event: &Event) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Seeding { what } => self.say(&format!("seeding: {what}")),
            Event::SampleStarted { sample, of, round, cell } => {
                (current.sample, current.of, current.round) = (*sample, *of, *round);
                current.cell = cell.to_string();
                if let Some(bar) = &self.bar {
                    bar.set_length(u64::from(*of));
                }
                self.phase(&current, None);
            }
            Event::PhaseStarted { phase } => self.phase(&current, *phase),
            Event::SampleFinished { sample } => {
                current.not_ok +=
                    u32::from(matches!(sample.status, Status::Failed | Status::Invalid));
                match &self.bar {
                    Some(bar) => bar.set_position(u64::from(sample.sample)),
                    None => output::message(&format!(
                        "{}/{} {} {} {}{}{}",
                        sample.sample,
                        current.of,
                        round_name(sample.round),
                        sample.cell.key(),
                        sample.status,
                        if sample.phases.is_empty() {
                            String::new()
                        } else {
                            format!(" {:.2} s", sample.total_s())
                        },
                        if sample.reason.is_empty() {
                            String::new()
                        } else {
                            format!(": {}", sample.reason.lines().next().unwrap_or_default())
                        }
                    )),
                }
            }
            Event::RunEnded { .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
            Event::Unsupported(found) => {
                self.say(&format!("not possible here: {}: {}", found.what, found.reason));
            }
            Event::LinkMeasured { link, down_bps, up_bps, rtt_s } => self.say(&format!(
                "link {link}: {:.1} Mbit/s down, {:.1} Mbit/s up, {:.1} ms",
                down_bps / 1e6,
                up_bps / 1e6,
                rtt_s * 1e3
            )),
            Event::DeployPulled { pull } => {
                let (workload, link) = (&pull.workload, &pull.link);
                self.say(&match pull.duration_s {
                    Some(seconds) => {
                        format!("deploy of {workload} over link {link}: {seconds:.2} s")
                    }
                    None => format!("deploy of {workload} over link {link}: {}", pull.reason),
                });
            }
            Event::Looked { round, settled, of } => {
                self.say(&format!("after round {round}: {settled} of {of} verdicts are settled"));
            }
            Event::StrategyLeft { left } => self.say(&format!(
                "{} ({}) is not measured any more: it {}, and is slower than {} ({})",
                left.strategy, left.builder, left.verdict, left.leader, left.leader_builder
            )),
            Event::RunResumed { .. } => self.say("going on where the run was stopped"),
            Event::EngineFacts { .. }
            | Event::RunStarted { .. }
            | Event::Contents { .. }
            | Event::PartMerged { .. }
            | Event::ImagesCompared { .. }
            | Event::RunFinding { .. } => {}
        }
    }

    fn phase(&self, current: &Current, phase: Option<Phase>) {
        let Some(bar) = &self.bar else { return };
        let phase = phase.map_or("prepare", Phase::as_str);
        let not_ok = match current.not_ok {
            0 => String::new(),
            count => format!(", {count} not ok"),
        };
        bar.set_message(format!(
            "{}, {phase}: {}{not_ok}",
            round_name(current.round),
            current.cell
        ));
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => output::message(text),
        }
    }
}

fn round_name(round: u32) -> String {
    match round {
        0 => "warm-up".to_owned(),
        round => format!("round {round}"),
    }
}
