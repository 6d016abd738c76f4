//! An answer of the Client System, read whole, and the headers that ask us to slow down.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The longest pause that an answer can ask for; a longer wish is cut to this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The pause that the server asks for.
    pub retry_after: Option<Duration>,
    /// When it was written, by the server's clock.
    pub date: Option<DateTime<Utc>>,
    /// Whether it says that requests may come in Zstandard.
    pub offers_zstd: bool,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as words for people: white space folded, markup left out, cut to a bearable length.
    pub fn words(&self) -> String {
        const LONGEST: usize = 500;
        let text = String::from_utf8_lossy(&self.body);
        let message = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| {
                ["message", "error"]
                    .iter()
                    .find_map(|field| json.get(field)?.as_str().map(ToOwned::to_owned))
            });
        let plain = message.unwrap_or_else(|| without_markup(&text));
        let folded = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        match folded.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &folded[..end]),
            None if folded.is_empty() => "(no words)".to_owned(),
            None => folded,
        }
    }
}

fn without_markup(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut inside_tag = false;
    text.chars()
        .filter_map(|character| match character {
            '<' => {
                inside_tag = true;
                None
            }
            '>' if inside_tag => {
                inside_tag = false;
                Some(' ')
            }
            _ if inside_tag => None,
            other => Some(other),
        })
        .collect()
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, section 10.2.3). A wish without sense
/// counts as none; one in the past as zero.
pub fn parse_retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    let wish = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) => {
            LONGEST_PAUSE
        }
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(header).ok()?;
            (date.with_timezone(&Utc) - now)
                .to_std()
                .unwrap_or(Duration::ZERO)
        }
    };
    Some(wish.min(LONGEST_PAUSE))
}

/// Reads a `Date` header (RFC 9110, section 6.6.1).
pub fn parse_date(header: &str) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(header.trim()).ok()?;
    Some(date.to_utc())
}

/// Reads `X-RateLimit-Reset`, in epoch seconds of the server's clock, as the time until then. The server's own `Date`
/// makes it independent of our clock; both are cut to seconds, so that one more is added.
pub fn parse_rate_limit_reset(
    reset: &str,
    date: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<Duration> {
    let reset: i64 = reset.trim().parse().ok()?;
    let seconds = reset
        .checked_sub(date.unwrap_or(now).timestamp())?
        .checked_add(1)?;
    let left = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some(left.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn the_end_of_a_window_is_told_by_the_servers_clock() {
        let ours = Utc
            .with_ymd_and_hms(2030, 1, 1, 0, 0, 0)
            .single()
            .expect("a time");
        let left = |reset: &str, date| parse_rate_limit_reset(reset, date, ours);
        let noon = parse_date("Thu, 01 Jan 2026 12:00:00 GMT");
        assert!(noon.is_some());
        assert_eq!(left("1767269700", noon), Some(Duration::from_secs(901)));
        assert_eq!(left("1767268000", noon), Some(Duration::ZERO), "over");
        assert_eq!(left("9999999999999", noon), Some(LONGEST_PAUSE));
        assert_eq!(
            left(&format!("{}", ours.timestamp() + 60), None),
            Some(Duration::from_secs(61))
        );
        assert_eq!(left("soon", noon), None);
    }

    #[test]
    fn a_pause_comes_as_seconds_or_as_a_date() {
        let now = Utc
            .with_ymd_and_hms(2026, 1, 1, 12, 0, 0)
            .single()
            .expect("a time");
        let pause = |header| parse_retry_after(header, now).map(|pause| pause.as_secs());
        assert_eq!(pause("30"), Some(30));
        assert_eq!(pause(" 900 "), Some(900));
        assert_eq!(pause("7200"), Some(3600));
        assert_eq!(pause("99999999999999999999999999"), Some(3600));
        assert_eq!(pause("Thu, 01 Jan 2026 12:01:30 GMT"), Some(90));
        assert_eq!(pause("Thu, 01 Jan 2026 11:00:00 GMT"), Some(0));
        for nonsense in ["", "soon", "-5", "1.5"] {
            assert_eq!(pause(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn words_are_fit_for_people() {
        let words = |body: &str| {
            Answer {
                body: body.as_bytes().to_vec(),
                ..Answer::default()
            }
            .words()
        };
        assert_eq!(
            words(r#"{"success":false,"message":"Invalid API key"}"#),
            "Invalid API key"
        );
        assert_eq!(
            words("<html><body><h1>413</h1>\n too large</body></html>"),
            "413 too large"
        );
        assert_eq!(words(""), "(no words)");
        assert_eq!(words(&"x".repeat(2000)).chars().count(), 501);
    }
}
