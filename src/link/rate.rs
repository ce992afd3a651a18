//! Rates and round trips as people write them.

use std::time::Duration;

/// Units by their names in lower case, longest first: each ends with the next shorter one.
const UNITS: [(&str, f64); 5] =
    [("tbit", 1e12), ("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1.0)];
/// The slowest link that makes sense, bits a second.
const SLOWEST: f64 = 1e3;
/// The longest round trip that makes sense; a satellite's takes less than a second.
const LONGEST: Duration = Duration::from_secs(10);

/// Bits a second that a text such as `100Mbit` or `1.5Gbit` names; `None` for `unlimited`.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn rate(text: &str) -> Result<Option<f64>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(None);
    }
    let lower = text.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
    let Some((number, factor)) = unit else {
        return Err(format!(
            "`{text}` is not a rate in bits a second: write a number and `kbit`, `Mbit` or `Gbit`, \
             such as `100Mbit`, or `unlimited`"
        ));
    };
    let number: f64 = number.trim().parse().map_err(|_| {
        format!("`{}` before the unit of the rate `{text}` is not a number", number.trim())
    })?;
    let bps = number * factor;
    if !bps.is_finite() || bps < SLOWEST {
        return Err(format!("the rate `{text}` is below 1kbit or is not finite"));
    }
    Ok(Some(bps))
}

/// The round-trip time that a text such as `20ms` names.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn round_trip(text: &str) -> Result<Duration, String> {
    let rtt = humantime::parse_duration(text.trim())
        .map_err(|error| format!("`{text}` is not a duration such as `20ms`: {error}"))?;
    if rtt > LONGEST {
        return Err(format!("the round trip `{text}` is longer than 10s"));
    }
    Ok(rtt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_decimal_prefixes() {
        for (text, bps) in [
            ("100Mbit", 1e8),
            ("2Gbit", 2e9),
            ("1.5Mbit", 1.5e6),
            (" 64 kbit ", 64e3),
            ("1tbit", 1e12),
            ("9600bit", 9600.0),
        ] {
            assert_eq!(rate(text), Ok(Some(bps)), "{text}");
        }
        assert_eq!(rate("unlimited"), Ok(None));
        assert_eq!(rate("Unlimited"), Ok(None));
    }

    #[test]
    fn what_is_no_rate_is_refused_with_what_is_allowed() {
        for text in ["", "fast", "100", "100MB", "100Mbps", "Mbit", "1,5Mbit", "NaNbit"] {
            assert!(rate(text).is_err(), "{text}");
        }
        assert!(rate("100MB").unwrap_err().contains("`100Mbit`"));
        assert!(rate("1,5Mbit").unwrap_err().contains("`1,5` before the unit"));
        for text in ["0Mbit", "-1Mbit", "infGbit", "999bit"] {
            assert!(rate(text).unwrap_err().contains("below 1kbit"), "{text}");
        }
    }

    #[test]
    fn round_trips_are_durations() {
        assert_eq!(round_trip("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(round_trip("0s"), Ok(Duration::ZERO));
        assert!(round_trip("20").unwrap_err().contains("`20ms`"));
        assert!(round_trip("1h").unwrap_err().contains("10s"));
    }
}
