//! How busy the machine is: what the kernel counts, read before and after, and the difference.
//!
//! Everything is "not known" where the kernel does not count it.

use crate::model::Noise;
use std::time::{Instant, SystemTime};

/// The kernel's counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    at: Instant,
    wall: SystemTime,
    counters: Counters,
}

/// Counters since the machine was started, and the load now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    /// Ticks of all processors, and those of them that the hypervisor gave to others.
    pub ticks: Option<Ticks>,
    /// Microseconds in which something that could have run waited for a processor.
    pub cpu_us: Option<u64>,
    /// Microseconds in which something waited for a disk.
    pub io_us: Option<u64>,
    /// Microseconds in which something waited for memory.
    pub memory_us: Option<u64>,
    /// Tasks that run or wait, averaged over a minute.
    pub load: Option<f64>,
    /// How often processors were slowed down for their heat, each core for itself.
    pub throttled: Option<u64>,
}

/// Processor time in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticks {
    /// All of it, idle time included.
    pub all: u64,
    /// What the hypervisor took.
    pub stolen: u64,
}

impl Reading {
    /// Reads `/proc` and, for throttling, `/sys`.
    pub fn take() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let counters = Counters::parse(
            read("/proc/stat").as_deref(),
            [
                read("/proc/pressure/cpu").as_deref(),
                read("/proc/pressure/io").as_deref(),
                read("/proc/pressure/memory").as_deref(),
            ],
            read("/proc/loadavg").as_deref(),
        );
        let counters = Counters { throttled: throttled(), ..counters };
        Self { at: Instant::now(), wall: SystemTime::now(), counters }
    }

    /// Tasks that run or wait, averaged over a minute.
    pub fn load(&self) -> Option<f64> {
        self.counters.load
    }

    /// What happened between an earlier reading and this one.
    pub fn since(&self, earlier: &Self) -> Noise {
        let elapsed_s = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        let by_the_wall_s = match self.wall.duration_since(earlier.wall) {
            Ok(forward) => forward.as_secs_f64(),
            Err(back) => -back.duration().as_secs_f64(),
        };
        let clock_moved_s = Some(by_the_wall_s - elapsed_s);
        Noise { clock_moved_s, ..self.counters.since(&earlier.counters, elapsed_s) }
    }
}

impl Counters {
    /// Reads the texts of `/proc/stat`, of `/proc/pressure/` (`cpu`, `io`, `memory`) and of
    /// `/proc/loadavg`, as far as they are there.
    pub fn parse(stat: Option<&str>, pressure: [Option<&str>; 3], loadavg: Option<&str>) -> Self {
        let [cpu_us, io_us, memory_us] = pressure.map(|text| stalled_us(text?));
        Self {
            ticks: stat.and_then(ticks),
            cpu_us,
            io_us,
            memory_us,
            load: loadavg.and_then(|text| text.split_whitespace().next()?.parse().ok()),
            throttled: None,
        }
    }

    /// What happened since earlier counters, `elapsed_s` seconds ago.
    pub fn since(&self, earlier: &Self, elapsed_s: f64) -> Noise {
        let stall = |now: Option<u64>, then: Option<u64>| {
            let stalled_s = now?.checked_sub(then?)? as f64 / 1e6;
            share(stalled_s, elapsed_s)
        };
        let steal = || {
            let (now, then) = (self.ticks?, earlier.ticks?);
            let all = now.all.checked_sub(then.all)?;
            share(now.stolen.checked_sub(then.stolen)? as f64, all as f64)
        };
        Noise {
            steal: steal(),
            cpu: stall(self.cpu_us, earlier.cpu_us),
            io: stall(self.io_us, earlier.io_us),
            memory: stall(self.memory_us, earlier.memory_us),
            load: earlier.load,
            throttled: self
                .throttled
                .zip(earlier.throttled)
                .and_then(|(now, then)| now.checked_sub(then)),
            clock_moved_s: None,
        }
    }
}

/// A part of a whole; not known of nothing. The two are not read at the same instant, so a part may
/// seem a little larger than its whole.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests are in user's.
fn ticks(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> =
        line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    // Kernels before 2.6.11 do not count it.
    let stolen = *fields.get(7)?;
    Some(Ticks { all: fields.iter().sum(), stolen })
}

/// Sum over all cores. Not there in most virtual machines.
fn throttled() -> Option<u64> {
    let processors = std::fs::read_dir("/sys/devices/system/cpu").ok()?;
    let counts = processors.flatten().filter_map(|processor| {
        let file = processor.path().join("thermal_throttle/core_throttle_count");
        std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
    });
    counts.reduce(|sum, count| sum.saturating_add(count))
}

/// `some avg10=… avg60=… avg300=… total=MICROSECONDS`
fn stalled_us(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find(|line| line.starts_with("some "))?;
    line.split_whitespace().find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  866403 76446 320232 2849985 17575 0 6858 623 0 0\n\
                        cpu0 430445 36662 147299 1448436 5142 0 1034 303 0 0\nintr 51194530 0\n";
    const CPU: &str = "some avg10=96.31 avg60=96.64 avg300=96.45 total=3690062163\n\
                       full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    const MEMORY: &str = "some avg10=0.00 avg60=0.00 avg300=0.00 total=575540\n\
                          full avg10=0.00 avg60=0.00 avg300=0.00 total=460984\n";

    fn captured() -> Counters {
        Counters::parse(
            Some(STAT),
            [Some(CPU), None, Some(MEMORY)],
            Some("11.51 10.95 8.82 13/230 3076\n"),
        )
    }

    #[test]
    fn captured_texts_are_read() {
        assert_eq!(
            captured(),
            Counters {
                ticks: Some(Ticks { all: 4_138_122, stolen: 623 }),
                cpu_us: Some(3_690_062_163),
                io_us: None,
                memory_us: Some(575_540),
                load: Some(11.51),
                throttled: None,
            }
        );
    }

    #[test]
    fn what_a_kernel_does_not_count_is_not_known() {
        assert_eq!(Counters::parse(None, [None; 3], None), Counters::default());
        for broken in ["", "cpu 1 2 3\n", "cpu  a b c d e f g h\n", "cpu0 1 2 3 4 5 6 7 8\n"] {
            assert_eq!(ticks(broken), None, "{broken:?}");
        }
        for broken in ["", "full total=3\n", "some avg10=0.00\n", "some total=x\n"] {
            assert_eq!(stalled_us(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_difference_is_a_share_of_the_time() {
        let before = captured();
        let after = Counters {
            ticks: Some(Ticks { all: 4_138_322, stolen: 633 }),
            cpu_us: Some(3_690_562_163),
            memory_us: Some(575_540),
            throttled: Some(3),
            ..before
        };
        let before = Counters { throttled: Some(1), ..before };
        let noise = after.since(&before, 1.0);
        assert_eq!(noise.steal, Some(0.05));
        assert_eq!(noise.cpu, Some(0.5));
        assert_eq!(noise.io, None);
        assert_eq!(noise.memory, Some(0.0));
        assert_eq!((noise.load, noise.throttled), (Some(11.51), Some(2)));
    }

    #[test]
    fn no_time_and_counters_that_went_back_give_no_share() {
        let before = captured();
        assert_eq!(before.since(&before, 0.0).cpu, None);
        assert_eq!(before.since(&before, 1.0).steal, None);
        let restarted = Counters { cpu_us: Some(1), ..before };
        assert_eq!(restarted.since(&before, 1.0).cpu, None);
    }

    #[test]
    fn a_clock_that_was_moved_is_seen() {
        let before = Reading::take();
        let minute = std::time::Duration::from_secs(60);
        for (wall, moved_s) in [(before.wall - minute, -61.0), (before.wall + minute, 59.0)] {
            let at = before.at + std::time::Duration::from_secs(1);
            let after = Reading { at, wall, ..before };
            assert_eq!(after.since(&before).clock_moved_s, Some(moved_s));
        }
    }

    #[test]
    fn this_machine_is_read() {
        let first = Reading::take();
        let second = Reading::take();
        assert!(second.since(&first).steal.is_none_or(|steal| (0.0..=1.0).contains(&steal)));
    }
}
