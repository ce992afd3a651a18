//! Which part of a run this machine measures, and the seed that all parts share, from the
//! variables of the system that started it.
//!
//! A new system is one line in [`SYSTEMS`].

use super::problem::{Place, Problem};
use crate::model::Shard;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A system that starts the same job several times at once.
struct System {
    name: &'static str,
    /// Variable with the number of this job, and the number that the first one has; none where only
    /// the seed comes from it.
    index: Option<(&'static str, u32)>,
    /// Variable with the number of jobs.
    total: Option<&'static str>,
    /// Variable that is the same in all jobs of one pipeline and in no other pipeline.
    pipeline: &'static str,
}

/// Every system that is known. Kubernetes and Swarm give a number only; what stands for them in the
/// other two columns is set in the job's description, as the examples in `deploy/` do.
static SYSTEMS: &[System] = &[
    System {
        name: "GitLab CI",
        index: Some(("CI_NODE_INDEX", 1)),
        total: Some("CI_NODE_TOTAL"),
        pipeline: "CI_PIPELINE_ID",
    },
    System {
        name: "Buildkite",
        index: Some(("BUILDKITE_PARALLEL_JOB", 0)),
        total: Some("BUILDKITE_PARALLEL_JOB_COUNT"),
        pipeline: "BUILDKITE_BUILD_ID",
    },
    System {
        name: "CircleCI",
        index: Some(("CIRCLE_NODE_INDEX", 0)),
        total: Some("CIRCLE_NODE_TOTAL"),
        pipeline: "CIRCLE_WORKFLOW_ID",
    },
    System {
        name: "Kubernetes Indexed Job",
        index: Some(("JOB_COMPLETION_INDEX", 0)),
        total: Some("JOB_COMPLETIONS"),
        pipeline: "JOB_UID",
    },
    System {
        name: "Docker Swarm",
        index: Some(("TASK_SLOT", 0)),
        total: Some("TASK_SLOTS"),
        pipeline: "SERVICE_ID",
    },
    System { name: "GitHub Actions", index: None, total: None, pipeline: "GITHUB_RUN_ID" },
];

/// What `--shard` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// This part.
    Named(Shard),
    /// Whatever the variables say, of so many parts if they do not say how many there are.
    Auto(Option<u32>),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "write K/N with K from 1 to N (such as 2/4), `auto`, or `auto/N`";
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let (first, of) = match text.split_once('/') {
            Some((first, of)) => (first, Some(number(of).ok_or(FORMS)?)),
            None => (text, None),
        };
        if first == "auto" {
            return Ok(Self::Auto(of));
        }
        let (index, of) = number(first).zip(of).ok_or(FORMS)?;
        let outside = || format!("there is no part {index} of {of}; {FORMS}");
        Shard::new(index, of).map(Self::Named).ok_or_else(outside)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(shard) => shard.fmt(f),
            Self::Auto(Some(of)) => write!(f, "auto/{of}"),
            Self::Auto(None) => f.write_str("auto"),
        }
    }
}

/// The part that is asked for, given how a variable is looked up. One that is set to nothing counts
/// as not set.
pub fn shard(asked: Asked, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, Problem> {
    let of = match asked {
        Asked::Named(shard) => return Ok(shard),
        Asked::Auto(of) => of,
    };
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut found: Vec<(&str, Shard)> = Vec::new();
    let mut half = Vec::new();
    for system in SYSTEMS {
        let Some((index, first)) = system.index else { continue };
        let total = system.total.and_then(|name| Some((name, set(name)?)));
        match (set(index), total) {
            (None, None) => {}
            (Some(number), total) if total.is_some() || of.is_some() => {
                found.push((system.name, read(system.name, (index, &number, first), total, of)?));
            }
            (number, _) => half.push((system, number.is_some())),
        }
    }
    if let Some((one, shard)) = found.first() {
        return match found.iter().find(|(_, other)| other != shard) {
            None => Ok(*shard),
            Some((other, another)) => Err(problem(
                format!("the variables of {one} say part {shard}, those of {other} part {another}"),
                "name the part by hand: --shard K/N",
            )),
        };
    }
    Err(match half.first() {
        Some((system, has_number)) => half_set(system, *has_number),
        None => problem(
            format!(
                "`auto` found no variable that says which part this is; looked for {}",
                names()
            ),
            "name the part by hand: --shard K/N",
        ),
    })
}

/// A seed that every job of this pipeline derives alike, and the variable that it comes from. It has
/// 32 bits, as every seed.
pub fn seed(variable: impl Fn(&str) -> Option<String>) -> Option<(u32, &'static str)> {
    SYSTEMS.iter().find_map(|system| {
        let value = variable(system.pipeline).filter(|value| !value.is_empty())?;
        let hash = Sha256::digest(format!("{}={value}", system.pipeline));
        let word = hash.first_chunk::<4>().copied()?;
        Some((u32::from_be_bytes(word), system.pipeline))
    })
}

/// What to do where no seed is given and none can be derived.
pub(super) fn no_seed(shard: Shard) -> Problem {
    let variables: Vec<&str> = SYSTEMS.iter().map(|system| system.pipeline).collect();
    problem(
        format!(
            "part {shard} needs the seed of the other parts, and none of {} is set, from which all \
             of them could derive it",
            variables.join(", ")
        ),
        "give every part the same one: --seed N, or `seed = N` in the configuration",
    )
}

/// What to do where there are more parts than rounds.
pub(super) fn no_round(shard: Shard, rounds: u32) -> Problem {
    problem(
        format!("part {shard} has no round to measure: the run has {rounds} in all"),
        "use fewer machines, or more rounds (--rounds)",
    )
}

fn read(
    system: &str,
    (index, number, first): (&str, &str, u32),
    total: Option<(&str, String)>,
    of: Option<u32>,
) -> Result<Shard, Problem> {
    // Swarm writes the node's id where a task's slot is 0, as it is of a job's first task.
    let number = if is_swarm_id(number) { "0" } else { number };
    let no_number = |name: &str, value: &str| {
        problem(
            format!("{system}: {name} is {value:?}, which is no number that it can be"),
            "set it as the system does, or name the part by hand: --shard K/N",
        )
    };
    let parts = match (&total, of) {
        (Some((name, value)), of) => {
            let parts = value.parse::<u32>().map_err(|_| no_number(name, value))?;
            if of.is_some_and(|of| of != parts) {
                return Err(problem(
                    format!(
                        "{system}: {name} is {parts}, and --shard auto/{} says otherwise",
                        of.unwrap_or(0)
                    ),
                    "leave the number out: --shard auto",
                ));
            }
            parts
        }
        (None, of) => of.unwrap_or(0),
    };
    let part =
        number.parse::<u32>().ok().and_then(|number| number.checked_sub(first)?.checked_add(1));
    let part = part.ok_or_else(|| no_number(index, number))?;
    Shard::new(part, parts).ok_or_else(|| {
        problem(
            format!("{system}: {index} is {number} (the first job has {first}), and there are {parts} parts"),
            "start as many jobs as there are parts, or name the part by hand: --shard K/N",
        )
    })
}

/// Whether a text is an id as Swarm makes them: 25 digits and small letters.
fn is_swarm_id(text: &str) -> bool {
    text.len() == 25 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

fn half_set(system: &System, has_number: bool) -> Problem {
    let name = system.name;
    let index = system.index.map_or("", |(index, _)| index);
    let total = system.total.unwrap_or_default();
    match has_number {
        true => problem(
            format!(
                "{name}: {index} is set, {total} is not, so that the number of parts is unknown"
            ),
            &format!("set {total}, or say how many there are: --shard auto/N"),
        ),
        false => problem(
            format!("{name}: {total} is set, {index} is not: the job is not one of several"),
            "let the system start several of them (GitLab CI: `parallel:`), or name the part by \
             hand: --shard K/N",
        ),
    }
}

fn names() -> String {
    let of = |system: &System| {
        Some(format!("{} and {} ({})", system.index?.0, system.total?, system.name))
    };
    SYSTEMS.iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

fn problem(message: String, advice: &str) -> Problem {
    Problem { place: Place::Option("--shard"), message, advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(asked: &str, set: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let asked = asked.parse::<Asked>()?;
        shard(asked, variable).map(|shard| shard.to_string()).map_err(|problem| problem.message)
    }

    #[test]
    fn every_system_is_understood() {
        for (set, asked, expected) in [
            (&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")][..], "auto", "2/4"),
            (
                &[("BUILDKITE_PARALLEL_JOB", "0"), ("BUILDKITE_PARALLEL_JOB_COUNT", "3")],
                "auto",
                "1/3",
            ),
            (&[("CIRCLE_NODE_INDEX", "3"), ("CIRCLE_NODE_TOTAL", "4")], "auto", "4/4"),
            (&[("JOB_COMPLETION_INDEX", "1")], "auto/4", "2/4"),
            (&[("JOB_COMPLETION_INDEX", "1"), ("JOB_COMPLETIONS", "5")], "auto", "2/5"),
            (&[("TASK_SLOT", "3"), ("TASK_SLOTS", "4")], "auto", "4/4"),
            (&[("TASK_SLOT", "ufdgr03qm1ykq8h6u9vn3u90q"), ("TASK_SLOTS", "4")], "auto", "1/4"),
            (&[("CI_NODE_TOTAL", "1"), ("TASK_SLOT", "3"), ("TASK_SLOTS", "4")], "auto", "4/4"),
            (&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")], "3/4", "3/4"),
        ] {
            assert_eq!(found(asked, set).as_deref(), Ok(expected), "{set:?}");
        }
    }

    #[test]
    fn what_is_wrong_or_half_set_is_said() {
        let messages: Vec<String> = [
            (&[][..], "auto"),
            (&[("CI_NODE_TOTAL", "1")], "auto"),
            (&[("CI_NODE_INDEX", ""), ("CI_NODE_TOTAL", "")], "auto"),
            (&[("JOB_COMPLETION_INDEX", "1")], "auto"),
            (&[("JOB_COMPLETION_INDEX", "4")], "auto/4"),
            (&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")], "auto"),
            (&[("CI_NODE_INDEX", "two"), ("CI_NODE_TOTAL", "4")], "auto"),
            (&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4")], "auto/3"),
            (&[("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "4"), ("TASK_SLOT", "2")], "auto/4"),
            (&[], "4/3"),
            (&[], "0/3"),
            (&[], "2"),
            (&[], "auto/0"),
        ]
        .into_iter()
        .map(|(set, asked)| format!("{asked} {set:?}: {}", found(asked, set).unwrap_err()))
        .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn all_jobs_of_a_pipeline_derive_the_same_seed() {
        let of = |name: &'static str, value: &'static str| {
            seed(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(of("CI_PIPELINE_ID", "17"), of("CI_PIPELINE_ID", "17"));
        assert_ne!(of("CI_PIPELINE_ID", "17"), of("CI_PIPELINE_ID", "18"));
        assert_eq!(of("GITHUB_RUN_ID", "1").map(|(_, from)| from), Some("GITHUB_RUN_ID"));
        assert_eq!((of("CI_PIPELINE_ID", ""), of("HOME", "/")), (None, None));
    }
}
