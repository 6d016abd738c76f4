//! An answer of the Client System, read whole, and the headers that ask us to slow down.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::fields::{Fields, value};
use crate::domain::words;

/// The longest pause that an answer can ask for; a longer wish is cut to this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The path at which it is looked whether the Client System is there.
pub const HEALTH: &str = "/health";
const NO_WORDS: &str = "(no words)";
/// Characters of the Client System's words that are kept.
pub(super) const LONGEST_WORDS: usize = 500;
/// Bytes of a page in which words are looked for.
const LONGEST_PAGE: usize = 64 << 10;

/// An answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The pause that the server asks for.
    pub retry_after: Option<Duration>,
    /// When it was written, by the server's clock.
    pub date: Option<DateTime<Utc>>,
    /// Where it redirects to, without what stands behind a question mark.
    pub location: Option<String>,
    /// Whether it says that requests may come in Zstandard.
    pub offers_zstd: bool,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the status is one of success, whatever the body says.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it says to people: the body's words, and of a redirect where it leads.
    pub fn words(&self) -> String {
        if !matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            return self.body_words();
        }
        match &self.location {
            Some(location) => format!("a redirect to {location}, which is not followed"),
            None => "a redirect that does not say where to".to_owned(),
        }
    }

    /// Why whoever answered this to a call of `path` does not seem to be a Client System in order; none where it may be one.
    /// That it refuses what it was told, or who told it, is no sign of that.
    pub fn trouble(&self, path: &str) -> Option<String> {
        let is_health_check = path == HEALTH;
        let (said, whose) = if is_health_check {
            ("its health check says", String::new())
        } else {
            ("it says", format!(" to {path}"))
        };
        let asks_for_a_pause = self.status == 503 && self.retry_after.is_some();
        match self.status {
            200..=299 if self.is_a_page() => Some(format!(
                "{said} {}{whose} with a page that no Client System has ({})",
                self.status,
                self.words()
            )),
            400..=499 if !is_health_check || matches!(self.status, 401 | 403 | 429) => None,
            200..=299 => None,
            _ if asks_for_a_pause => None,
            status => Some(match self.words() {
                words if words == NO_WORDS => format!("{said} {status}{whose}"),
                words => format!("{said} {status}{whose} ({words})"),
            }),
        }
    }

    /// A Client System answers with a JSON object, or with nothing. Told by how the body begins, for there are many answers.
    fn is_a_page(&self) -> bool {
        let first = self.body.trim_ascii_start().first();
        first.is_some_and(|first| *first != b'{')
    }

    /// The body as words for people: white space folded, markup left out, cut to a bearable length.
    fn body_words(&self) -> String {
        let message = Fields::read(&self.body).and_then(|fields| {
            let fields = [fields.message, fields.error];
            fields.into_iter().flatten().find_map(value::<String>)
        });
        let plain = message.unwrap_or_else(|| {
            let beginning = &self.body[..self.body.len().min(LONGEST_PAGE)];
            without_markup(&String::from_utf8_lossy(beginning))
        });
        // A terminal would obey some of what is not plain.
        let folded = plain
            .split(|character: char| character.is_whitespace() || !words::is_plain(character))
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        if folded.is_empty() {
            NO_WORDS.to_owned()
        } else {
            cut(&folded)
        }
    }
}

/// Words of the Client System, cut to [`LONGEST_WORDS`] characters.
pub(super) fn cut(words: &str) -> String {
    words::cut(words, LONGEST_WORDS)
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
        assert_eq!(
            words(r#"{"message":"no\u001b]0;owned\u0007\u001b[2J\n\u202eAll is well"}"#),
            "no ]0;owned [2J All is well"
        );
        assert_eq!(words(""), "(no words)");
        assert_eq!(words(&"x".repeat(2000)).chars().count(), 501);
    }

    #[test]
    fn a_redirect_says_where_to_if_it_says_so() {
        let redirect = |location: Option<&str>| Answer {
            status: 302,
            location: location.map(ToOwned::to_owned),
            ..Answer::default()
        };
        assert_eq!(
            redirect(Some("https://login.example/")).words(),
            "a redirect to https://login.example/, which is not followed"
        );
        assert_eq!(
            redirect(None).words(),
            "a redirect that does not say where to"
        );
    }

    #[test]
    fn what_answers_need_not_be_well() {
        let trouble = |status, body: &str, path| {
            let body = body.as_bytes().to_vec();
            let answer = Answer {
                status,
                body,
                ..Answer::default()
            };
            answer.trouble(path)
        };
        for (status, body, path) in [
            (200, r#"{"status":"ok"}"#, HEALTH),
            (204, "", HEALTH),
            (401, "who are you", HEALTH),
            (429, "", HEALTH),
            (400, "[]", "/sync/readings/batch"),
            (404, "", "/sync/config"),
        ] {
            assert_eq!(trouble(status, body, path), None, "{status} {body}");
        }
        for (status, body, path, words) in [
            (503, "", HEALTH, "its health check says 503"),
            (
                503,
                r#"{"message":"no database"}"#,
                HEALTH,
                "its health check says 503 (no database)",
            ),
            (
                302,
                "",
                HEALTH,
                "its health check says 302 (a redirect that does not say where to)",
            ),
            (404, "", HEALTH, "its health check says 404"),
            (
                200,
                "<html>Please log in</html>",
                HEALTH,
                "its health check says 200 with a page that no Client System has (Please log in)",
            ),
            (
                500,
                "oh",
                "/sync/heartbeat",
                "it says 500 to /sync/heartbeat (oh)",
            ),
        ] {
            assert_eq!(trouble(status, body, path).as_deref(), Some(words));
        }
        let pausing = Answer {
            status: 503,
            retry_after: Some(Duration::from_secs(9)),
            ..Answer::default()
        };
        assert_eq!(pausing.trouble(HEALTH), None);
    }
}
