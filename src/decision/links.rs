//! Link models of a plan's workloads: what was measured over each link, the fit, the curve, and the
//! bandwidth at which a strategy breaks even.
//!
//! A job's bytes are taken as the links counted them, and only `c` and `r` are fitted: with the few
//! links that a run can afford, bytes that are measured anyway would cost two links more, and a
//! fit that may choose its bytes hides that transfers overlap with other work. That shows as a
//! miss on the link that was left out instead. Where bytes were not counted they are fitted.

use super::break_even::Along;
use super::joint::{ByRound, Joint};
use super::link_fit::{Coefficients, Method, Moved, Shape};
use super::link_model::{BytesFrom, CurvePoint, HeldOut, LinkAt, LinkFit, LinkModel, LinkPoint};
use super::pairing::{Scope, baseline_for, competitors};
use super::traffic::Traffic;
use super::{BreakEven, Decider, weighted};
use crate::model::plan::Competitor;
use crate::model::{Plan, Sample};
use crate::stats::bootstrap::interval;
use crate::stats::{Bootstrap, Estimate, Values};
use std::collections::BTreeSet;

/// Points of a curve.
const CURVE_POINTS: usize = 40;
/// Share of the measured time that a model may miss a held-out link by.
const MISS: f64 = 0.10;

/// Every model of a plan: those over the change mix first, then, where there are several links,
/// those of each change and availability.
pub(super) fn link_models(decider: &Decider<'_>) -> Vec<LinkModel> {
    let plan = decider.plan;
    let families: BTreeSet<(String, String)> =
        plan.cells.iter().map(|cell| (cell.workload.clone(), cell.engine.clone())).collect();
    let mut models = Vec::new();
    for (workload, engine) in families {
        let scopes: Vec<Scope> = Scope::all(plan)
            .into_iter()
            .filter(|scope| scope.workload == workload && scope.engine == engine)
            .collect();
        let Some(first) = scopes.first() else { continue };
        let cells = first.cells(plan);
        let mix = weighted::mix(plan, &cells);
        let family = Family { decider, scopes: &scopes };
        let weighed: Kinds = mix.clone().into_iter().filter(|(_, weight)| *weight > 0.0).collect();
        let mut kinds = vec![(None, weighed)];
        if scopes.len() > 1 {
            let one = |kind: &(String, String)| (Some(kind.clone()), vec![(kind.clone(), 1.0)]);
            kinds.extend(mix.keys().map(one));
        }
        for (of, kinds) in &kinds {
            for competitor in competitors(&cells) {
                let baseline = baseline_for(plan, &cells, competitor.1);
                models.push(family.model(of.clone(), kinds, &competitor, baseline.as_ref()));
            }
        }
    }
    models
}

/// Changes and availabilities with their weights.
type Kinds = Vec<((String, String), f64)>;

/// One workload on one engine over all links.
struct Family<'a> {
    decider: &'a Decider<'a>,
    scopes: &'a [Scope],
}

/// What one competitor took and moved over the links that it was measured over.
struct Series {
    /// The links with their names, the slowest first.
    links: Vec<(String, Shape)>,
    /// For each link, each kind's seconds and bytes by round.
    cells: Vec<Vec<(f64, ByRound<3>)>>,
    counted: bool,
}

impl Family<'_> {
    fn model(
        &self,
        of: Option<(String, String)>,
        kinds: &Kinds,
        competitor: &Competitor,
        baseline: Option<&Competitor>,
    ) -> LinkModel {
        let own = self.series(kinds, competitor);
        let at = at(&own.links);
        let first = &self.scopes[0];
        let (change, availability) = of.unzip();
        let mut model = LinkModel {
            workload: first.workload.clone(),
            engine: first.engine.clone(),
            change,
            availability,
            strategy: competitor.0.clone(),
            builder: competitor.1,
            points: own.points(self.decider.bootstrap),
            fit: None,
            held_out: Vec::new(),
            curve: Vec::new(),
            not_drawn: None,
            at,
            break_even_bps: BreakEven::not_known("it is the baseline"),
            extrapolated: false,
            per_10ms_s: None,
            saving_per_10ms_s: None,
        };
        let fitted = match Fitted::new(&own) {
            Ok(fitted) => fitted,
            Err(reason) => {
                model.not_drawn = Some(reason);
                self.against(&mut model, &own, None, kinds, competitor, baseline);
                return model;
            }
        };
        let (fit, per_10ms) = fitted.estimates(self.decider.bootstrap);
        model.fit = Some(fit);
        model.per_10ms_s = per_10ms;
        model.held_out = fitted.held_out();
        model.not_drawn = missed(&model.held_out);
        if model.not_drawn.is_none() {
            match fitted.curve(at) {
                Some(curve) => model.curve = curve,
                None => {
                    model.not_drawn =
                        Some("the measured links do not differ in bandwidth".to_owned());
                }
            }
        }
        self.against(&mut model, &own, Some(&fitted), kinds, competitor, baseline);
        model
    }

    /// Adds what a model says against the baseline's.
    fn against(
        &self,
        model: &mut LinkModel,
        own: &Series,
        fitted: Option<&Fitted>,
        kinds: &Kinds,
        competitor: &Competitor,
        baseline: Option<&Competitor>,
    ) {
        let Some(baseline) = baseline else {
            model.break_even_bps = BreakEven::not_known("there is no baseline to compare with");
            return;
        };
        if baseline == competitor {
            return;
        }
        let (Some(_), None) = (fitted, &model.not_drawn) else {
            let reason = model.not_drawn.clone().unwrap_or_default();
            model.break_even_bps = BreakEven::not_known(reason);
            return;
        };
        let theirs = self.series(kinds, baseline);
        let both = own.shared_with(&theirs);
        let usable = Fitted::new(&theirs)
            .and_then(|fitted| missed(&fitted.held_out()).map_or(Ok(()), Err))
            .and(both);
        match usable.and_then(|(own, theirs)| Pair::new(own, theirs)) {
            Ok(pair) => {
                let (break_even, per_10ms) = pair.answer(self.decider.bootstrap, model.at);
                model.extrapolated = break_even.crossing().is_some_and(|crossing| {
                    let measured = || own.links.iter().filter_map(|(_, shape)| shape.down_bps);
                    measured().all(|bps| bps < crossing.point)
                        || measured().all(|bps| bps > crossing.point)
                });
                model.break_even_bps = break_even;
                model.saving_per_10ms_s = per_10ms;
            }
            Err(reason) => {
                model.break_even_bps = BreakEven::not_known(format!("of the baseline: {reason}"));
            }
        }
    }

    fn series(&self, kinds: &Kinds, competitor: &Competitor) -> Series {
        let plan = self.decider.plan;
        let mut series = Series { links: Vec::new(), cells: Vec::new(), counted: true };
        let mut scopes: Vec<(&Scope, Shape)> =
            self.scopes.iter().map(|scope| (scope, shape(plan, &scope.link))).collect();
        let bps = |shape: &Shape| shape.down_bps.unwrap_or(f64::INFINITY);
        scopes.sort_by(|(_, a), (_, b)| bps(a).total_cmp(&bps(b)));
        for (scope, shape) in scopes {
            let mut of_link = Vec::new();
            for ((change, availability), weight) in kinds {
                let cell = scope.cell(plan, change, availability, competitor);
                let counted = self.decider.measured.counted(&cell);
                series.counted &= counted.iter().all(|sample| over_link(sample).is_some());
                let rounds = counted.iter().map(|sample| {
                    let [down, up] = over_link(sample).unwrap_or_default();
                    (sample.round, [sample.total_s(), down, up])
                });
                of_link.push((*weight, rounds.collect::<ByRound<3>>()));
            }
            // A link over which a part was not measured says nothing about the whole.
            if !of_link.is_empty() && of_link.iter().all(|(_, rounds)| !rounds.is_empty()) {
                series.links.push((scope.link.clone(), shape));
                series.cells.push(of_link);
            }
        }
        series
    }
}

/// Bytes down and up; `None` where they were not counted.
fn over_link(sample: &Sample) -> Option<[f64; 2]> {
    let traffic = Traffic::of(sample);
    Some([traffic.down?, traffic.up?])
}

fn shape(plan: &Plan, link: &str) -> Shape {
    let plan = plan.links.get(link).copied().unwrap_or_default();
    Shape { down_bps: plan.down_bps, up_bps: plan.up_bps, rtt_s: plan.rtt_s }
}

/// Medians of the measured links.
fn at(links: &[(String, Shape)]) -> LinkAt {
    let median = |numbers: Vec<f64>| Values::new(numbers).ok().map(|values| values.median());
    let ratios = links.iter().filter_map(|(_, shape)| Some(shape.up_bps? / shape.down_bps?));
    LinkAt {
        rtt_s: median(links.iter().map(|(_, shape)| shape.rtt_s).collect()).unwrap_or(0.0),
        up_per_down: median(ratios.collect()).unwrap_or(1.0),
    }
}

/// Why a model is not drawn, if it misses a link.
fn missed(held_out: &[HeldOut]) -> Option<String> {
    let worst = held_out.iter().max_by(|a, b| a.error.abs().total_cmp(&b.error.abs()))?;
    (worst.error.abs() > MISS).then(|| {
        format!(
            "the model misses: fitted without link {}, it is {:+.0} % off there, more than {:.0} %",
            worst.link,
            worst.error * 100.0,
            MISS * 100.0
        )
    })
}

impl Series {
    fn shapes(&self) -> Vec<Shape> {
        self.links.iter().map(|(_, shape)| *shape).collect()
    }

    fn bytes(&self) -> BytesFrom {
        if self.counted { BytesFrom::Counted } else { BytesFrom::Fitted }
    }

    /// All cells, link after link.
    fn joint(&self) -> Option<Joint<3>> {
        Joint::new(self.cells.iter().flatten().cloned())
    }

    /// From the means of all cells, link after link, to those of each link.
    fn by_link(&self, means: &[[f64; 3]]) -> Vec<Moved> {
        let mut means = means.iter();
        self.cells
            .iter()
            .map(|of_link| {
                let mut sums = [0.0; 3];
                for ((weight, _), mean) in of_link.iter().zip(means.by_ref()) {
                    sums.iter_mut().zip(mean).for_each(|(sum, part)| *sum += weight * part);
                }
                let [seconds, bytes_down, bytes_up] = sums;
                Moved { seconds, bytes_down, bytes_up }
            })
            .collect()
    }

    fn points(&self, bootstrap: Bootstrap) -> Vec<LinkPoint> {
        let point = |((link, shape), cells): (&(String, Shape), &Vec<(f64, ByRound<3>)>)| {
            let joint = Joint::new(cells.iter().cloned())?;
            let [mean_s] = joint.estimate(bootstrap, |[seconds, ..]| [seconds]);
            Some(LinkPoint {
                link: link.clone(),
                down_bps: shape.down_bps,
                up_bps: shape.up_bps,
                rtt_s: shape.rtt_s,
                mean_s,
                n: joint.fewest(),
            })
        };
        self.links.iter().zip(&self.cells).filter_map(point).collect()
    }

    /// Both series over the links that both have.
    fn shared_with(&self, other: &Self) -> Result<(Self, Self), String> {
        let only = |one: &Self, two: &Self| {
            let kept =
                one.links.iter().zip(&one.cells).filter(|(link, _)| two.links.contains(link));
            let (links, cells) = kept.map(|(link, cells)| (link.clone(), cells.clone())).unzip();
            // If one of the two has no count of bytes, those of both are fitted.
            Self { links, cells, counted: one.counted && two.counted }
        };
        let both = (only(self, other), only(other, self));
        if both.0.links.is_empty() { Err("no link has both".to_owned()) } else { Ok(both) }
    }
}

/// A series with its fit.
struct Fitted<'a> {
    series: &'a Series,
    method: Method,
    joint: Joint<3>,
    moved: Vec<Moved>,
    point: Coefficients,
}

impl<'a> Fitted<'a> {
    fn new(series: &'a Series) -> Result<Self, String> {
        let method = Method::new(series.shapes(), series.bytes())?;
        let joint = series.joint().ok_or("nothing that counts was measured")?;
        let moved = series.by_link(&joint.means());
        let point = method.fit(&moved).ok_or("nothing that counts was measured")?;
        Ok(Self { series, method, joint, moved, point })
    }

    fn estimates(&self, bootstrap: Bootstrap) -> (LinkFit, Option<Estimate>) {
        let fit = |means: &[[f64; 3]]| {
            self.method.fit(&self.series.by_link(means)).unwrap_or(self.point).0
        };
        let [c_s, bytes_down, bytes_up, trips] = self.joint.estimate_means(bootstrap, fit);
        let round_trips = self.method.has_round_trips().then_some(trips);
        let fit = LinkFit { c_s, bytes_down, bytes_up, round_trips, bytes: self.series.bytes() };
        (fit, round_trips.map(|trips| scaled(trips, TEN_MS)))
    }

    fn held_out(&self) -> Vec<HeldOut> {
        let held = self.method.held_out(&self.moved);
        held.into_iter()
            .map(|(link, predicted_s)| {
                let measured_s = self.moved[link].seconds;
                let error = if measured_s > 0.0 { predicted_s / measured_s - 1.0 } else { 0.0 };
                let link = self.series.links[link].0.clone();
                HeldOut { link, measured_s, predicted_s, error }
            })
            .collect()
    }

    /// Seconds by bandwidth from the slowest to the fastest limited link.
    fn curve(&self, at: LinkAt) -> Option<Vec<CurvePoint>> {
        let limited = || self.series.links.iter().filter_map(|(_, shape)| shape.down_bps);
        let (slowest, fastest) = (limited().reduce(f64::min)?, limited().reduce(f64::max)?);
        if fastest <= slowest * 1.05 {
            return None;
        }
        let point = |index: usize| {
            let part = index as f64 / (CURVE_POINTS - 1) as f64;
            let down_bps = slowest * (fastest / slowest).powf(part);
            let shape = Shape {
                down_bps: Some(down_bps),
                up_bps: Some(down_bps * at.up_per_down),
                rtt_s: at.rtt_s,
            };
            CurvePoint { down_bps, seconds: self.point.seconds(&shape) }
        };
        Some((0..CURVE_POINTS).map(point).collect())
    }
}

const TEN_MS: f64 = 0.010;

fn scaled(estimate: Estimate, by: f64) -> Estimate {
    Estimate { point: estimate.point * by, low: estimate.low * by, high: estimate.high * by }
}

/// A strategy's series and the baseline's over the same links, resampled together.
struct Pair {
    own: Series,
    theirs: Series,
    method: Method,
    joint: Joint<3>,
}

impl Pair {
    fn new(own: Series, theirs: Series) -> Result<Self, String> {
        let method = Method::new(own.shapes(), own.bytes())?;
        let cells = own.cells.iter().chain(&theirs.cells).flatten().cloned();
        let joint = Joint::new(cells).ok_or("nothing that counts was measured")?;
        Ok(Self { own, theirs, method, joint })
    }

    fn answer(&self, bootstrap: Bootstrap, at: LinkAt) -> (BreakEven, Option<Estimate>) {
        let along = |means: &[[f64; 3]]| {
            let (own, theirs) = means.split_at(self.own.cells.iter().map(Vec::len).sum());
            let fits = self.method.fit(&self.own.by_link(own));
            let fits = fits.zip(self.method.fit(&self.theirs.by_link(theirs)));
            let [c, down, up, r] = fits.map_or([0.0; 4], |(own, theirs)| {
                std::array::from_fn(|at| theirs.0[at] - own.0[at])
            });
            let along = Along::bandwidth(c + r * at.rtt_s, 8.0 * (down + up / at.up_per_down));
            (along, r * TEN_MS)
        };
        let (point, _) = along(&self.joint.means());
        let statistics = |means: &[[f64; 3]]| {
            let (along, per_10ms) = along(means);
            let [above, below] = along.thresholds();
            [above, below, per_10ms]
        };
        let [above, below, trips] = self.joint.distributions(bootstrap, statistics);
        let rounds = self.joint.fewest_units(bootstrap);
        let per_10ms = interval(statistics(&self.joint.means())[2], &trips, rounds);
        let answer = point.answer(&[above, below], rounds);
        (answer, self.method.has_round_trips().then_some(per_10ms))
    }
}
