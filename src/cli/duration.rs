//! Durations as people write them on a command line.

use std::time::Duration;

/// Reads `250ms`, `20s`, `5m`, `2h`; a bare number counts seconds.
///
/// # Errors
/// In words, when it is none of these.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no duration; write 250ms, 20s, 5m or 2h"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        unit => Err(format!(
            "{unit:?} is no unit of time; write 250ms, 20s, 5m or 2h"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| parse(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("20s"), Ok(20.0));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("5m"), Ok(300.0));
        assert_eq!(seconds("2h"), Ok(7200.0));
        assert_eq!(seconds("7"), Ok(7.0));
        for nonsense in ["", "s", "-1s", "5 years", "1.5s", "5d"] {
            assert!(seconds(nonsense).is_err(), "{nonsense}");
        }
    }
}
