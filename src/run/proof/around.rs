//! What happened around the job: traps 21, 25, 26 and 34, the clock, and heat.

use super::Examination;
use crate::model::Builder;
use crate::model::Noise;
use crate::model::finding as kinds;

impl Examination<'_> {
    /// Trap 21.
    pub(super) fn context(&mut self) {
        if !self.evidence.unexplained.is_empty() {
            let paths: Vec<&str> =
                self.evidence.unexplained.iter().map(String::as_str).take(5).collect();
            let more = self.evidence.unexplained.len().saturating_sub(paths.len());
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.note(&kinds::CONTEXT_DIFFERS, format!("{}{rest}", paths.join(", ")));
        }
    }

    /// Traps 25 and 26.
    pub(super) fn engine(&mut self) {
        let (evidence, around) = (self.evidence, self.evidence.around);
        let warm = around.before.cache_mounts.len();
        let kept = evidence.kept_runner || evidence.cell.builder != Builder::Buildkit;
        if warm > 0 && !kept && evidence.dockerfile.contains("type=cache") {
            self.note(&kinds::CACHE_MOUNTS_WARM, format!("{warm} cache mounts"));
        }
        if !around.gone.is_empty() {
            let detail = format!("{} build cache records", around.gone.len());
            self.note(&kinds::RECORDS_COLLECTED, detail);
        }
    }

    /// Trap 34.
    pub(super) fn machine(&mut self) {
        let around = self.evidence.around;
        let mut seen: Vec<String> = around.noise.iter().flat_map(too_busy).collect();
        if let Some(first) = around.others.first() {
            let more = around.others.len() - 1;
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            seen.push(format!("{first}{rest}"));
        }
        for detail in seen {
            self.note(&kinds::OTHER_WORK, detail);
        }
        if let Some(noise) = &around.noise {
            self.clock_and_heat(noise);
        }
    }

    fn clock_and_heat(&mut self, noise: &Noise) {
        if let Some(moved_s) = noise.clock_moved_s.filter(|moved_s| moved_s.abs() > CLOCK_S) {
            let way = if moved_s < 0.0 { "back" } else { "forward" };
            self.note(&kinds::CLOCK_MOVED, format!("{:.1} s {way}", moved_s.abs()));
        }
        if let Some(times) = noise.throttled.filter(|times| *times > 0) {
            self.note(&kinds::THROTTLED, format!("{times} times"));
        }
    }
}

/// Share of processor time that a hypervisor may take before it is said.
const STEAL: f64 = 0.02;
/// Share of the time in which something may wait for memory before it is said.
const MEMORY: f64 = 0.05;

/// Seconds that the clocks may lie apart before it is said: what keeps a clock in time moves it by
/// at most half a second in a thousand (adjtimex(2)), and jobs take minutes.
const CLOCK_S: f64 = 0.5;

/// What of a machine's readings cannot come from the job itself. A build may well use every
/// processor and the disk, so that waiting for these says nothing about others.
fn too_busy(noise: &Noise) -> Vec<String> {
    let over = |share: Option<f64>, limit: f64, what: &str| {
        let share = share.filter(|share| *share > limit)?;
        Some(format!("{what} {:.0} % of the time", share * 100.0))
    };
    [
        over(noise.steal, STEAL, "the hypervisor took"),
        over(noise.memory, MEMORY, "something waited for memory"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_build_cannot_cause_itself_is_said() {
        let noise = Noise {
            steal: Some(0.01),
            cpu: Some(1.0),
            io: Some(0.9),
            memory: Some(0.05),
            ..Noise::default()
        };
        assert_eq!(too_busy(&noise), Vec::<String>::new());
        let noise = Noise { steal: Some(0.1), memory: Some(0.2), ..noise };
        assert_eq!(
            too_busy(&noise),
            [
                "the hypervisor took 10 % of the time",
                "something waited for memory 20 % of the time"
            ]
        );
        assert_eq!(too_busy(&Noise::default()), Vec::<String>::new());
    }
}
