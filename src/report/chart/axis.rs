//! Axes: numbers to pixels, with round ticks.

/// A linear axis.
#[derive(Debug)]
pub(super) struct Linear {
    from: f64,
    to: f64,
    step: f64,
    pixels: (i32, i32),
}

impl Linear {
    /// From 0 over all of these values, in at most eight round steps.
    pub fn from_zero(pixels: (i32, i32), values: impl Iterator<Item = f64>) -> Self {
        let longest = values.filter(|value| value.is_finite()).fold(0.0, f64::max).max(0.001);
        Self::over(pixels, (0.0, longest))
    }

    /// Over all that lies between these two, 0 included, in about eight round steps.
    pub fn over(pixels: (i32, i32), (low, high): (f64, f64)) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let step = round_step((high - low).max(0.001) / 8.0);
        Self { from: (low / step).floor() * step, to: (high / step).ceil() * step, step, pixels }
    }

    /// The pixel of a value; of one beyond an end, the end's.
    pub fn at(&self, value: f64) -> i32 {
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        let (first, last) = self.pixels;
        first + (share * f64::from(last - first)).round() as i32
    }

    /// Round values from end to end.
    pub fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = ((self.to - self.from) / self.step).round() as u32;
        let (from, step) = (self.from, self.step);
        (0..=count).map(move |number| from + f64::from(number) * step)
    }

    /// A tick in as many digits as tell it from its neighbours.
    pub fn label(&self, tick: f64) -> String {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let text = format!("{tick:.decimals$}");
        if text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.')) {
            text.trim_start_matches('-').to_owned()
        } else {
            text
        }
    }
}

/// The smallest of 1, 2, 5, 10, ... that is not below.
fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw)
        .unwrap_or(10.0 * power)
}

/// A logarithmic axis.
#[derive(Debug)]
pub(super) struct Log {
    from: f64,
    to: f64,
    pixels: (i32, i32),
}

impl Log {
    /// Over these two positive values, half a step of 1, 2, 5, 10 wider on either side.
    pub fn over(pixels: (i32, i32), (low, high): (f64, f64)) -> Self {
        Self { from: low / 1.5, to: high.max(low * 1.1) * 1.5, pixels }
    }

    /// The pixel of a value; of one beyond an end, the end's.
    pub fn at(&self, value: f64) -> i32 {
        let share = ((value / self.from).ln() / (self.to / self.from).ln()).clamp(0.0, 1.0);
        let (first, last) = self.pixels;
        first + (share * f64::from(last - first)).round() as i32
    }

    /// 1, 2, 5, 10, ... within the axis; powers of ten alone where those are too many.
    pub fn ticks(&self) -> Vec<f64> {
        let all = |factors: &[f64]| -> Vec<f64> {
            let (first, last) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
            (first..=last)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
                .filter(|tick| (self.from..=self.to).contains(tick))
                .collect()
        };
        let ticks = all(&[1.0, 2.0, 5.0]);
        if ticks.len() > 10 { all(&[1.0]) } else { ticks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_everything() {
        for (longest, expected) in [
            (12.4, vec!["0", "2", "4", "6", "8", "10", "12", "14"]),
            (0.55, vec!["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]),
        ] {
            let axis = Linear::from_zero((200, 690), [longest].into_iter());
            let labels: Vec<String> = axis.ticks().map(|tick| axis.label(tick)).collect();
            assert_eq!(labels, expected);
            assert!(axis.at(longest) <= 690);
        }
    }

    #[test]
    fn nothing_measured_still_has_an_axis() {
        let axis = Linear::from_zero((200, 690), std::iter::empty());
        assert!(axis.ticks().count() > 1);
        assert_eq!((axis.at(0.0), axis.at(f64::INFINITY)), (200, 690));
    }

    #[test]
    fn an_axis_may_begin_below_zero_and_run_upwards() {
        let axis = Linear::over((300, 100), (-3.2, 7.5));
        let labels: Vec<String> = axis.ticks().map(|tick| axis.label(tick)).collect();
        assert_eq!(labels, ["-4", "-2", "0", "2", "4", "6", "8"]);
        assert!(axis.at(-3.2) > axis.at(7.5));
    }

    #[test]
    fn a_logarithmic_axis_has_round_ticks() {
        let axis = Log::over((0, 300), (10e6, 1e9));
        assert_eq!(axis.ticks(), [10e6, 20e6, 50e6, 100e6, 200e6, 500e6, 1e9]);
        assert_eq!(Log::over((0, 300), (1.0, 1e9)).ticks().len(), 10);
        assert_eq!((axis.at(1.0), axis.at(100e6), axis.at(1e12)), (0, 150, 300));
    }
}
