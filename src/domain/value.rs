//! A measured value as the exact decimal that was written down; it never passes through binary floating
//! point on its way from the Sync Database to the Client System unless the database itself holds one.

use std::fmt;

use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Digits that the Client System's column holds.
const PRECISION: i64 = 15;
/// Decimals among them.
const SCALE: i64 = 3;

/// A finite decimal number, kept as its text, which is always a valid JSON number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = f64, examples(1234.567))]
pub struct ReadingValue(CompactString);

impl ReadingValue {
    /// Reads a JSON number, exactly.
    pub fn parse(text: &str) -> Option<Self> {
        let kept = if is_zero_with_exponent(text) {
            "0"
        } else {
            text
        };
        is_json_number(text).then(|| Self(kept.into()))
    }

    /// The shortest decimal that is nearest to `number` alone; none for infinities and NaN.
    pub fn from_f64(number: f64) -> Option<Self> {
        in_thousandths(number)
            .or_else(|| number.is_finite().then(|| number.to_string().into()))
            .map(Self)
    }

    /// The JSON number.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a `NUMERIC(15,3)` column holds the number without rounding or overflow.
    pub fn fits_numeric_15_3(&self) -> bool {
        self.fits_numeric(PRECISION, SCALE)
    }

    /// Whether a `NUMERIC(precision, scale)` column holds the number without rounding or overflow.
    pub fn fits_numeric(&self, precision: i64, scale: i64) -> bool {
        // Nearly all of them are so short that their zeros need not be told apart.
        if plain_lengths(&self.0)
            .is_some_and(|(integer, fraction)| integer <= precision - scale && fraction <= scale)
        {
            return true;
        }
        let (digits, exponent) = significant_digits(&self.0);
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        length == 0 || (exponent >= -scale && length.saturating_add(exponent) <= precision - scale)
    }
}

impl From<i64> for ReadingValue {
    fn from(number: i64) -> Self {
        Self(number.to_compact_string())
    }
}

impl fmt::Display for ReadingValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for ReadingValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string())
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReadingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: Box<RawValue> = Deserialize::deserialize(deserializer)?;
        Self::parse(raw.get())
            .ok_or_else(|| serde::de::Error::custom("value: a JSON number is expected"))
    }
}

/// A number of at most fifteen digits, three of them behind the point, where one is nearest to it: no other of so few digits
/// is, so that it is the shortest. Looking for the shortest in general costs ten times as much.
fn in_thousandths(number: f64) -> Option<CompactString> {
    let thousandths = (number * 1_000.0).round();
    let is_it = thousandths.abs() < 1e15 && thousandths / 1_000.0 == number;
    // A zero may have a sign.
    if !is_it || number == 0.0 {
        return None;
    }
    let (mut rest, mut decimals) = (thousandths.abs() as u64, 3);
    while decimals > 0 && rest.is_multiple_of(10) {
        rest /= 10;
        decimals -= 1;
    }
    // From the last digit to the first.
    let mut text = [0; 20];
    let mut start = text.len();
    let mut put = |character| {
        start -= 1;
        text[start] = character;
    };
    for _ in 0..decimals {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    if decimals > 0 {
        put(b'.');
    }
    // At least one digit stands before the point.
    loop {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0.0 {
        put(b'-');
    }
    std::str::from_utf8(&text[start..]).ok().map(Into::into)
}

/// Goes by the grammar of RFC 8259, section 6.
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let rest = match after_digits(unsigned) {
        (1, rest) => rest,
        (2.., rest) if unsigned[0] != b'0' => rest,
        _ => return false,
    };
    let rest = match rest {
        [b'.', fraction @ ..] => match after_digits(fraction) {
            (1.., rest) => rest,
            _ => return false,
        },
        rest => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', digits @ ..] | [b'e' | b'E', digits @ ..] => {
            matches!(after_digits(digits), (1.., []))
        }
        _ => false,
    }
}

/// No power of ten makes more or less of it, yet databases refuse a zero with a great one.
fn is_zero_with_exponent(number: &str) -> bool {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    unsigned.starts_with('0')
        && unsigned.contains(['e', 'E'])
        && significant_digits(unsigned).0.is_empty()
}

/// How many digits the text begins with, and what comes behind them.
fn after_digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &text[count..])
}

/// The digits before and after the point of a JSON number without an exponent.
fn plain_lengths(number: &str) -> Option<(i64, i64)> {
    let unsigned = number.strip_prefix('-').unwrap_or(number).as_bytes();
    let (integer, rest) = after_digits(unsigned);
    let fraction = match rest {
        [] => 0,
        [b'.', fraction @ ..] => match after_digits(fraction) {
            (count, []) => count,
            _ => return None,
        },
        _ => return None,
    };
    Some((i64::try_from(integer).ok()?, i64::try_from(fraction).ok()?))
}

/// The digits of a JSON number without leading and trailing zeros, and the power of ten of the last one.
fn significant_digits(number: &str) -> (String, i64) {
    let unsigned = number.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    // An exponent too long for i64 only has to stay out of every range.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') {
        -1_000_000
    } else {
        1_000_000
    });
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let kept = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - kept.len()).unwrap_or(i64::MAX);
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let significant = kept.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return (significant, 0);
    }
    (
        significant,
        exponent.saturating_sub(scale).saturating_add(dropped),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_json_numbers_are_values() {
        for text in ["0", "-1", "12.340", "1e3", "1.5E-2", "123456789012.345"] {
            assert_eq!(
                ReadingValue::parse(text)
                    .map(|value| value.to_string())
                    .as_deref(),
                Some(text)
            );
        }
        for text in [
            "", " 1", "1 ", "+1", ".5", "1.", "01", "NaN", "Infinity", "\"1\"", "1,5", "null",
            "true",
        ] {
            assert_eq!(ReadingValue::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_zero_is_a_zero_whatever_its_exponent() {
        for text in ["0e99999999999999", "-0.00E-7", "0e0"] {
            let zero = ReadingValue::parse(text).expect("a number");
            assert_eq!(zero.as_str(), "0", "{text}");
        }
        for text in ["-0", "0.50", "0.1e2"] {
            let value = ReadingValue::parse(text).expect("a number");
            assert_eq!(value.as_str(), text);
        }
    }

    proptest! {
        #[test]
        fn serde_json_takes_the_same_numbers(text in r"[-+ ]?[0-9.eE+-]{0,6}") {
            let taken = serde_json::from_str::<&RawValue>(&text)
                .is_ok_and(|number| number.get() == text);
            prop_assert_eq!(ReadingValue::parse(&text).is_some(), taken, "{}", text);
        }

        #[test]
        fn the_shortest_decimal_is_found_however_it_is_looked_for(
            thousandths in -1_100_000_000_000_000_i64..1_100_000_000_000_000,
            scale in 0..10_u32,
            other in any::<f64>(),
        ) {
            let thousandths = (thousandths / 10_i64.pow(scale)) as f64;
            for number in [thousandths / 1_000.0, thousandths / 10_000.0, thousandths * 1_000.0, other] {
                let value = ReadingValue::from_f64(number).map(|value| value.to_string());
                prop_assert_eq!(value, number.is_finite().then(|| number.to_string()));
            }
        }

        #[test]
        fn a_number_fits_however_it_is_looked_at(text in r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,5})?") {
            let value = ReadingValue::parse(&text).expect("a number");
            let scientific = ReadingValue::parse(&format!("{text}e0")).expect("a number");
            prop_assert_eq!(value.fits_numeric_15_3(), scientific.fits_numeric_15_3(), "{}", text);
        }
    }

    #[test]
    fn binary_numbers_become_their_shortest_decimal() {
        let text = |number| ReadingValue::from_f64(number).map(|value| value.to_string());
        assert_eq!(text(12.34).as_deref(), Some("12.34"));
        assert_eq!(
            text(123_456_789_012.345).as_deref(),
            Some("123456789012.345")
        );
        assert_eq!(text(f64::INFINITY), None);
        assert_eq!(text(f64::NAN), None);
    }

    #[test]
    fn the_column_of_the_client_system_is_the_limit() {
        let fits = |text: &str| {
            ReadingValue::parse(text)
                .expect("a number")
                .fits_numeric_15_3()
        };
        for text in [
            "0",
            "-0.000",
            "0.001",
            "1.5000",
            "999999999999.999",
            "-999999999999.999",
            "1e3",
            "1500e-3",
            "0e99999999999999999999",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "0.0001",
            "1000000000000",
            "1e12",
            "1.5e-3",
            "1e99999999999999999999",
            "1234567890123456789012345678901234567890",
        ] {
            assert!(!fits(text), "{text}");
        }
    }
}
