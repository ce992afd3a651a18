//! Whether a run that goes on until all is settled may stop, and who need not be measured any more.
//! Pure: the same samples give the same answer, so that a run that is resumed decides as one that
//! was never stopped.

use super::again;
use super::joint::ByRound;
use super::looks::Looks;
use super::pairing::{Measured, Scope, baseline_for, competitors};
use super::weighted::{self, Contender};
use super::{Saving, Verdict};
use crate::model::{Builder, Left, Plan, Sample};
use crate::stats::sequential::{Bounds, FIRST_LOOK};

/// Rounds that are measured where there is no verdict that could be settled.
const WITHOUT_VERDICT: u32 = 10;

/// What a look between two rounds says.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The last round that was looked at.
    pub round: u32,
    /// Verdicts that are settled.
    pub settled: usize,
    /// Verdicts that there are. A strategy of which no round counts has none.
    pub of: usize,
    /// Who leaves now.
    pub leaving: Vec<Left>,
}

impl Look {
    /// Whether there is nothing left to find out.
    pub const fn is_over(&self) -> bool {
        match self.of {
            0 => self.round >= WITHOUT_VERDICT,
            of => self.settled == of,
        }
    }
}

/// The race of one run.
#[derive(Debug)]
pub struct Race {
    /// The plan without the cells that the engines cannot do.
    plan: Plan,
    looks: Looks,
    /// For statements about two strategies.
    bounds: Bounds,
}

/// One competitor at a look.
struct Runner {
    strategy: String,
    builder: Builder,
    /// Seconds of a job over the mix, by round.
    times: ByRound<1>,
    /// Baseline's seconds and its own, by round.
    pairs: ByRound<2>,
    /// `None` of a baseline, and where no round counts.
    saving: Option<Saving>,
    leads: bool,
    has_left: bool,
}

impl Race {
    /// Of an adaptive plan; `None` of any other.
    pub fn new(plan: &Plan) -> Option<Self> {
        let looks = Looks::of(plan, plan.rounds as usize)?;
        let runners: usize =
            Scope::all(plan).iter().map(|scope| competitors(&scope.cells(plan)).len()).sum();
        let pairs = runners * runners.saturating_sub(1) / 2;
        let bounds = Bounds::new(pairs, plan.rounds as usize);
        Some(Self { plan: plan.clone(), looks, bounds })
    }

    /// Looks at the samples of all rounds up to this one.
    pub fn look(&self, round: u32, samples: &[Sample], left: &[Left]) -> Look {
        let mut look = Look { round, settled: 0, of: 0, leaving: Vec::new() };
        let measured = Measured::new(samples);
        for scope in Scope::all(&self.plan) {
            let runners = self.runners(&scope, &measured, left);
            let verdicts = runners.iter().filter_map(|runner| runner.saving.as_ref());
            look.of += verdicts.clone().count();
            look.settled += verdicts.filter(|saving| is_settled(saving)).count();
            look.leaving.extend(self.leaving(&scope, &runners, round));
        }
        if look.is_over() {
            look.leaving.clear();
        }
        look
    }

    fn runners(&self, scope: &Scope, measured: &Measured<'_>, left: &[Left]) -> Vec<Runner> {
        let plan = &self.plan;
        let cells = scope.cells(plan);
        let mix = weighted::mix(plan, &cells);
        let contenders: Vec<Contender> = competitors(&cells)
            .iter()
            .map(|one| {
                let baseline = baseline_for(plan, &cells, one.1);
                Contender::new(plan, measured, scope, &mix, one, baseline.as_ref())
            })
            .collect();
        let pairs: Vec<ByRound<2>> = contenders.iter().map(Contender::complete_pairs).collect();
        let noise = again::noise_of(plan, measured, scope, mix.values().copied());
        let runner = |(at, contender): (usize, &Contender)| {
            let (strategy, builder) = contender.competitor.clone();
            let others = pairs
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at && !contenders[*other].is_baseline());
            let against = contender.baseline.as_ref().filter(|_| !contender.is_baseline());
            let saving = against.and_then(|(_, against)| {
                let others = others.map(|(_, one)| one).chain(&noise);
                self.looks.saving(plan, &pairs[at], others, *against)
            });
            Runner {
                times: contender.complete_times(),
                pairs: pairs[at].clone(),
                saving,
                leads: !super::sentence::keeps_runner(&strategy),
                has_left: left.iter().any(|one| {
                    (&one.workload, &one.link, &one.engine, &one.strategy, one.builder)
                        == (&scope.workload, &scope.link, &scope.engine, &strategy, builder)
                }),
                strategy,
                builder,
            }
        };
        contenders.iter().enumerate().map(runner).collect()
    }

    /// Those that are settled and surely slower than the leader, who is among those that are still
    /// measured and need no runner of their own. A baseline never leaves.
    fn leaving(&self, scope: &Scope, runners: &[Runner], round: u32) -> Vec<Left> {
        let racing = || runners.iter().filter(|runner| !runner.has_left);
        let mean = |runner: &&Runner| {
            runner.times.values().map(|[seconds]| seconds).sum::<f64>() / runner.times.len() as f64
        };
        let leader = racing()
            .filter(|runner| runner.leads && runner.times.len() >= FIRST_LOOK)
            .min_by(|a, b| mean(a).total_cmp(&mean(b)));
        let Some(leader) = leader else { return Vec::new() };
        let leaves = |runner: &Runner| {
            let saving = runner.saving.as_ref().filter(|saving| is_settled(saving))?;
            let behind = |(round, [seconds]): (&u32, &[f64; 1])| {
                leader.times.get(round).map(|[theirs]| seconds - theirs)
            };
            let behind: Vec<f64> = runner.times.iter().filter_map(behind).collect();
            let companions: Vec<Vec<f64>> = runners
                .iter()
                .filter(|other| other.saving.is_some() && !std::ptr::eq(*other, runner))
                .map(|other| other.pairs.values().map(|[base, ours]| base - ours).collect())
                .collect();
            let slower = self.bounds.mean(&behind, &companions)?;
            (slower.low > 0.0).then(|| Left {
                round,
                workload: scope.workload.clone(),
                link: scope.link.clone(),
                engine: scope.engine.clone(),
                strategy: runner.strategy.clone(),
                builder: runner.builder,
                verdict: saving.verdict.label().to_owned(),
                leader: leader.strategy.clone(),
                leader_builder: leader.builder,
                slower_s: slower.point,
                low_s: slower.low,
                high_s: slower.high,
            })
        };
        racing().filter(|runner| !std::ptr::eq(*runner, leader)).filter_map(leaves).collect()
    }
}

const fn is_settled(saving: &Saving) -> bool {
    matches!(saving.verdict, Verdict::PaysOff | Verdict::DoesNotPayOff)
}
