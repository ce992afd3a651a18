//! What stopping by itself costs and saves, in simulated runs of which the truth is known: false
//! verdicts, coverage, and rounds against ten fixed ones. Fixed seed; ends with exit code 1 where
//! more than 5 % of the runs of a setting have a false verdict, or an interval that fails.
//!
//! `cargo bench --bench sequential` prints the table of docs/methodology.md; with `-- --all`, a line
//! for every setting.

use breakeven::stats::sequential::{Bounds, ERROR, FIRST_LOOK};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

#[path = "../src/stats/sequential/simulation.rs"]
mod simulation;
use simulation::{Ended, Setting, Shape};

const SEED: u64 = 20_261_128;
const RUNS: u64 = 2_000;
const MOST: usize = 30;
const FIXED: usize = 10;
const NOISES: [f64; 3] = [0.03, 0.1, 0.3];
const DIFFERENCES: [f64; 5] = [0.0, 0.02, 0.05, 0.2, 1.0];
const STRATEGIES: [usize; 2] = [1, 3];

/// Shares and means over the runs of a setting.
struct Result {
    wrong: f64,
    holds: f64,
    rounds: f64,
    undecided: f64,
}

impl Result {
    fn of(setting: &Setting, run: impl Fn(u64) -> Ended + Sync + Send) -> Self {
        let ended: Vec<Ended> = (0..RUNS).into_par_iter().map(run).collect();
        let mean = |of: &dyn Fn(&Ended) -> f64| ended.iter().map(of).sum::<f64>() / RUNS as f64;
        Self {
            wrong: mean(&|one| f64::from(u8::from(one.is_wrong))),
            holds: mean(&|one| f64::from(u8::from(one.holds))),
            rounds: mean(&|one| one.rounds as f64),
            undecided: mean(&|one| one.undecided as f64) / setting.strategies as f64,
        }
    }
}

/// Ten rounds, then one Student t interval of 95 % for each strategy.
fn fixed(setting: &Setting, t: f64, number: u64) -> Ended {
    simulation::until(&Setting { most: FIXED, ..*setting }, SEED, number, |round, savings, _| {
        let n = round as f64;
        let interval = |numbers: &Vec<f64>| {
            let mean = numbers.iter().sum::<f64>() / n;
            let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
            let half = t * (squares / (n - 1.0) / n).sqrt();
            (mean - half, mean + half)
        };
        (round == FIXED).then(|| savings.iter().map(interval).collect())
    })
}

fn main() -> ExitCode {
    let all = std::env::args().any(|argument| argument == "--all");
    let Ok(t) = StudentsT::new(0.0, 1.0, (FIXED - 1) as f64).map(|t| t.inverse_cdf(0.975)) else {
        return ExitCode::FAILURE;
    };
    let mut lines = Vec::new();
    let (mut most_wrong, mut least_held) = (0.0_f64, 1.0_f64);
    let (mut sure, mut saved) = (0, 0);
    for strategies in STRATEGIES {
        let bounds = Bounds::new(strategies, MOST);
        for (noise, difference) in NOISES.iter().flat_map(|n| DIFFERENCES.map(|d| (*n, d))) {
            let mut row =
                format!("| {strategies} | {} | {} |", per_cent(noise), per_cent(difference));
            let (mut wrong, mut holds, mut fixed_wrong) = (0.0_f64, 1.0_f64, 0.0_f64);
            for shape in Shape::ALL {
                let setting = Setting { shape, noise, difference, strategies, most: MOST };
                let own = Result::of(&setting, |n| simulation::run(&setting, &bounds, SEED, n));
                let ten = Result::of(&setting, |n| fixed(&setting, t, n));
                (wrong, holds) = (wrong.max(own.wrong), holds.min(own.holds));
                fixed_wrong = fixed_wrong.max(ten.wrong);
                let decided = |undecided: f64| (100.0 * (1.0 - undecided)).round();
                let (ours, theirs) = (decided(own.undecided), decided(ten.undecided));
                let _ = write!(row, " {:.1} ({ours}/{theirs}) |", own.rounds);
                if difference >= 0.2 {
                    sure += 1;
                    saved += usize::from(3.0 * own.rounds <= FIXED as f64);
                }
                if all {
                    lines.push(format!(
                        "{setting:?}: wrong {:.4}, holds {:.4}, rounds {:.2}, undecided {:.3}; ten \
                         fixed: wrong {:.4}, holds {:.4}, undecided {:.3}",
                        own.wrong,
                        own.holds,
                        own.rounds,
                        own.undecided,
                        ten.wrong,
                        ten.holds,
                        ten.undecided
                    ));
                }
            }
            (most_wrong, least_held) = (most_wrong.max(wrong), least_held.min(holds));
            let share = |share: f64| format!("{:.1} %", 100.0 * share);
            let _ = write!(row, " {} | {} | {} |", share(wrong), share(holds), share(fixed_wrong));
            lines.push(row);
        }
    }
    let shapes: Vec<String> = Shape::ALL.iter().map(|shape| format!("{shape:?}")).collect();
    let columns = 6 + shapes.len();
    let mut text = format!(
        "| strategies | noise | difference | {} | false verdicts | coverage | false of ten fixed |\n|{}\n",
        shapes.join(" | "),
        "---|".repeat(columns)
    );
    text += &lines.join("\n");
    let _ = write!(
        text,
        "\n\n{RUNS} runs a setting, seed {SEED}, first look after {FIRST_LOOK} rounds, at most {MOST}. \
         Most false verdicts: {:.2} %. Least coverage: {:.2} %. At most a third of ten rounds: {saved} \
         of {sure} settings with a difference of 20 % or more.\n",
        100.0 * most_wrong,
        100.0 * least_held
    );
    let written = std::io::stdout().write_all(text.as_bytes());
    match written.is_ok() && most_wrong <= ERROR && least_held >= 1.0 - ERROR {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn per_cent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
