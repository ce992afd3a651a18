//! How much the same work differs from time to time here: `doctor --noise`.
//!
//! The same is done over and over, and neighbours are taken for the two sides of a comparison that
//! has nothing to show. How far apart they lie says which difference a run of this machine can show
//! at all.

use super::subject::Subject;
use super::trial::Trial;
use super::{Check, Extent, Line, percent};
use crate::engine::EngineError;
use crate::model::Builder;
use crate::run::RunError;
use crate::run::bench::Site;
use crate::run::machine::Reading;
use futures_util::{FutureExt, TryFutureExt};
use sha2::{Digest, Sha256};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::io::Write;
use std::time::Instant;

pub(super) const CHECK: Check = Check { id: "noise", run: |subject| lines(subject).boxed() };

/// Pairs of the run that is asked about: what most runs have.
const ROUNDS: f64 = 10.0;
/// Pairs from which on a spread is worth telling.
const LEAST_PAIRS: usize = 5;
/// A difference that must be this large to be shown is more than many caches save.
const FELT: f64 = 0.10;
/// How often the short kinds of work are done for each build, which takes longer.
const FOR_EACH_BUILD: usize = 4;
/// Bytes that are hashed, and bytes that are written and forced to the disk, each time: some tenths
/// of a second, as a short step of a build takes.
const HASHED: usize = 64 << 20;
const WRITTEN: usize = 16 << 20;

/// One kind of work, and how long it took each time.
struct Work {
    what: String,
    seconds: Vec<f64>,
    failed: Option<String>,
}

impl Work {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), seconds: Vec::new(), failed: None }
    }

    fn took(&mut self, took: Result<f64, String>) {
        match took {
            Ok(seconds) => self.seconds.push(seconds),
            Err(cause) => self.failed = Some(cause),
        }
    }
}

async fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let Extent::Noise(watched) = subject.extent else { return Vec::new() };
    let (began, before) = (Instant::now(), Reading::take());
    let mut processor = Work::new("hashing");
    let mut disk = Work::new("writing to disk");
    let mut builds = Vec::new();
    for (name, site) in subject.sites() {
        match builder(subject, site).await {
            Ok(builder) => builds.push((
                Work::new(subject.of(name, format!("a tiny build by {builder}"))),
                site,
                builder,
            )),
            Err(cause) => {
                let mut work = Work::new(subject.of(name, "a tiny build"));
                work.took(Err(cause));
                builds.push((work, site, Builder::Classic));
            }
        }
    }
    let mut count = 0;
    while began.elapsed() < watched {
        count += 1;
        for _ in 0..FOR_EACH_BUILD {
            processor.took(apart(hash).await);
            let folder = subject.bench.scratch.to_owned();
            disk.took(apart(move || write(&folder)).await);
        }
        for (work, site, builder) in builds.iter_mut().filter(|(work, ..)| work.failed.is_none()) {
            work.took(build(subject, site, *builder, count).await);
        }
    }
    let noise = Reading::take().since(&before);
    let works = [processor, disk].into_iter().chain(builds.into_iter().map(|(work, ..)| work));
    let mut lines: Vec<Line> = works.map(|work| judge(&work)).collect();
    if let Some(steal) = noise.steal.filter(|steal| *steal > 0.0) {
        lines.push(Line::ok(format!("meanwhile the hypervisor took {}", percent(steal))));
    }
    lines
}

async fn builder(subject: &Subject<'_>, site: &Site) -> Result<Builder, String> {
    let found = subject.on(site, async |begun| subject.builder(begun.engine.as_ref()).await);
    let found = found.await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| "no builder works on this engine".to_owned())
}

/// Does it on a thread of its own; seconds.
async fn apart(work: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> Result<f64, String> {
    let timed = move || {
        let started = Instant::now();
        work().map(|()| started.elapsed().as_secs_f64())
    };
    let done = tokio::task::spawn_blocking(timed).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

fn hash() -> std::io::Result<()> {
    let piece = [7_u8; 64 << 10];
    let mut hash = Sha256::new();
    (0..HASHED / piece.len()).for_each(|_| hash.update(piece));
    std::hint::black_box(hash.finalize());
    Ok(())
}

fn write(folder: &std::path::Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    let piece = vec![7_u8; 1 << 20];
    for _ in 0..WRITTEN / piece.len() {
        file.write_all(&piece)?;
    }
    file.sync_all()
}

async fn build(
    subject: &Subject<'_>,
    site: &Site,
    builder: Builder,
    count: u32,
) -> Result<f64, String> {
    let timed = subject.on(site, async |begun| {
        let trial = Trial::new(subject, site, &format!("noise-{count}"))?;
        let started = Instant::now();
        trial.build(subject, begun, builder, false, None).map_err(RunError::from).await?;
        Ok::<_, RunError>(started.elapsed().as_secs_f64())
    });
    match timed.await {
        Ok(Ok(seconds)) => Ok(seconds),
        Ok(Err(RunError::Engine(EngineError::Failed { cause, .. }))) => Err(cause),
        Ok(Err(error)) | Err(error) => Err(error.to_string()),
    }
}

/// The smallest difference, as a share, that ten paired rounds of such work show: the half width of
/// a 95 % interval of their mean (Student's t), with the spread of the logarithms of neighbours'
/// ratios.
fn resolution(seconds: &[f64]) -> Option<f64> {
    let pairs: Vec<f64> = seconds
        .chunks_exact(2)
        .map(|pair| (pair[0] / pair[1]).ln())
        .filter(|ratio| ratio.is_finite())
        .collect();
    if pairs.len() < LEAST_PAIRS {
        return None;
    }
    // The true mean is 0: both sides are the same.
    let squares: f64 = pairs.iter().map(|ratio| ratio * ratio).sum();
    let deviation = (squares / pairs.len() as f64).sqrt();
    let t = StudentsT::new(0.0, 1.0, ROUNDS - 1.0).ok()?.inverse_cdf(0.975);
    Some((t * deviation / ROUNDS.sqrt()).exp_m1())
}

fn judge(work: &Work) -> Line {
    let what = &work.what;
    if let Some(cause) = &work.failed {
        return Line::warn(
            format!("{what}: {cause}"),
            "See the lines of a doctor without --noise for what this engine can do.",
        );
    }
    let times = work.seconds.len();
    let Some(share) = resolution(&work.seconds) else {
        return Line::unknown(format!(
            "{what}, {times} times: too few to tell; measure for longer"
        ));
    };
    let found = format!(
        "{what}, {times} times: ten rounds show a difference of {} and more",
        percent(share)
    );
    if share <= FELT {
        return Line::ok(found);
    }
    Line::warn(
        found,
        "A smaller saving stays undecided here: measure on a quieter machine, or with more rounds \
         (four times as many halve it).",
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn work(seconds: &[f64]) -> Work {
        Work { seconds: seconds.to_vec(), ..Work::new("hashing") }
    }

    #[test]
    fn what_is_always_the_same_shows_every_difference() {
        assert_eq!(resolution(&[2.0; 10]), Some(0.0));
        assert_eq!(resolution(&[2.0; 9]), None, "four pairs");
        assert_eq!(judge(&work(&[2.0; 10])).state, State::Ok);
    }

    #[test]
    fn the_smallest_difference_follows_the_spread() {
        // Neighbours that lie 10 % apart, each way: t(9) = 2.262, over the root of ten.
        let seconds: Vec<f64> = (0..20).map(|at| if at % 4 < 2 { 1.0 } else { 1.1 }).collect();
        let turned: Vec<f64> = seconds[1..].iter().copied().chain([1.0]).collect();
        let expected = (2.262 * 1.1_f64.ln() / 10_f64.sqrt()).exp_m1();
        assert!((resolution(&turned).unwrap() - expected).abs() < 1e-4);
        let wild: Vec<f64> = (0..20).map(|at| f64::from(1 + at % 2 * 2)).collect();
        assert_eq!(judge(&work(&wild)).state, State::Warn);
    }

    #[test]
    fn what_fails_or_is_too_slow_is_said() {
        assert_eq!(judge(&work(&[9.0, 9.1])).state, State::Unknown);
        let mut broken = work(&[1.0; 20]);
        broken.took(Err("no space left on device".to_owned()));
        let line = judge(&broken);
        assert_eq!(
            (line.state, line.found.as_str()),
            (State::Warn, "hashing: no space left on device")
        );
    }
}
