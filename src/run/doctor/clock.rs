//! Whether reading the clock is cheap.

use super::{Check, Line};
use futures_util::FutureExt;

pub(super) const CHECK: Check =
    Check { id: "clock", run: |_| async { vec![judge(source().as_deref())] }.boxed() };

/// Sources that cost a system call or worse for each reading.
const SLOW: [&str; 4] = ["acpi_pm", "hpet", "jiffies", "refined-jiffies"];

fn source() -> Option<String> {
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn judge(source: Option<&str>) -> Line {
    match source {
        None => Line::unknown("this system does not say where its clock comes from"),
        Some(source) if SLOW.contains(&source) => Line::warn(
            format!("clock source {source}"),
            "It is slow or coarse; choose tsc or the hypervisor's own (kernel option clocksource=).",
        ),
        Some(source) => Line::ok(format!("clock source {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn slow_clocks_are_warned_of() {
        assert_eq!(judge(Some("tsc")).state, State::Ok);
        assert_eq!(judge(Some("hpet")).state, State::Warn);
        assert_eq!(judge(None).state, State::Unknown);
    }
}
