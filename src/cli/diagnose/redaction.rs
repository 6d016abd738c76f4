//! Takes what is secret out of everything that leaves the machine. None of it should be there in the first place.
//!
//! What stands where a secret belongs is taken out whatever it is; besides, the secrets of this site are looked for
//! everywhere. What is left never tells more than that something was there: a secret that might be a word of any sentence is
//! not looked for, since what is missing there would tell it.

use regex_lite::{Captures, Regex};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::Settings;

const REDACTED: &str = "<redacted>";
/// Where a secret belongs, and what is left of it.
const PLACES: [(&str, &str); 5] = [
    // Fields of JSON and of settings, names of variables, headers.
    (
        r#"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|credentials?)"?\s*[:=]\s*")(?:[^"\\]|\\.)*""#,
        "${1}<redacted>\"",
    ),
    // The same without quotes, or within a text that is quoted itself.
    (
        r#"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|credentials?)\\*["']?\s*[:=]\s*\\*["']?)[^\s"'\\,;&<>(){}\[\]]+"#,
        "${1}<redacted>",
    ),
    (
        r#"(?i)(authorization\\*["']?\s*[:=]\s*\\*["']?)[^"'\\,;<>\r\n]+"#,
        "${1}<redacted>",
    ),
    // Who asks, in an address; and in its parameters.
    (r#"(://)[^\s"'<>]*@"#, "${1}<redacted>@"),
    (
        r#"(?i)([?&][\w-]*pass[\w-]*=)[^&\s"'<>]+"#,
        "${1}<redacted>",
    ),
];
/// Shorter ones, or those without a digit, are looked for as whole words only.
const SHORTEST_BY_CHANCE: usize = 12;
/// Shorter ones that are made of letters alone are words like others.
const LONGEST_WORD: usize = 8;

/// What must not be read.
pub(super) struct Redaction {
    /// The longest first.
    secrets: Vec<SecretString>,
    places: Vec<(Regex, &'static str)>,
}

impl Redaction {
    pub(super) fn of(settings: &Settings) -> Self {
        let mut secrets = settings.secrets();
        secrets.retain(|secret| !is_a_word(secret.expose_secret()));
        let place = |(pattern, left): (&str, &'static str)| Some((Regex::new(pattern).ok()?, left));
        Self {
            secrets,
            places: PLACES.into_iter().filter_map(place).collect(),
        }
    }

    /// The text without secrets.
    pub(super) fn apply(&self, text: &str) -> String {
        let places = self.places.iter();
        places.fold(self.without_secrets(text), |text, (pattern, left)| {
            let replaced = pattern.replace_all(&text, |found: &Captures<'_>| {
                let mut after = String::new();
                match found.get(0).map_or("", |whole| whole.as_str()) {
                    // A count of tokens, say; in quotes it would be one.
                    whole if is_bare_in_json(whole) => after.push_str(whole),
                    _ => found.expand(left, &mut after),
                }
                after
            });
            replaced.into_owned()
        })
    }

    /// Goes through the text once: what was put in the place of a secret is not looked through again.
    fn without_secrets(&self, text: &str) -> String {
        let mut left = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let before = &text[..text.len() - rest.len()];
            let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
            let found = secrets
                .filter(|secret| rest.starts_with(*secret))
                .find(|secret| is_apart(before, secret, &rest[secret.len()..]));
            let length = match found {
                Some(secret) => {
                    left.push_str(REDACTED);
                    secret.len()
                }
                None => {
                    left.push(letter);
                    letter.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        left
    }
}

/// Whether it is a field of JSON that holds a number, a truth value or nothing.
fn is_bare_in_json(field: &str) -> bool {
    let value = field.split_once("\":").map(|(_, value)| value.trim());
    value.is_some_and(|value| {
        ["null", "true", "false"].contains(&value) || value.parse::<f64>().is_ok()
    })
}

/// Whether it may stand in a sentence that has nothing to do with it.
fn is_a_word(secret: &str) -> bool {
    let is_plain = secret.chars().all(char::is_alphabetic) && secret.chars().count() < LONGEST_WORD;
    is_plain || REDACTED.contains(secret) || Settings::words().any(|word| word == secret)
}

/// Whether it is a whole word there, or one that cannot be a part of another.
fn is_apart(before: &str, secret: &str, after: &str) -> bool {
    let is_by_chance = secret.len() >= SHORTEST_BY_CHANCE
        && secret.contains(|letter: char| letter.is_ascii_digit())
        && secret.contains(char::is_alphabetic);
    is_by_chance || !(goes_on_before(before, secret) || goes_on_after(secret, after))
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '-'
}

fn goes_on_before(before: &str, secret: &str) -> bool {
    let is_escaped = ["\\n", "\\r", "\\t"]
        .iter()
        .any(|end| before.ends_with(*end));
    secret.starts_with(is_of_word) && before.ends_with(is_of_word) && !is_escaped
}

fn goes_on_after(secret: &str, after: &str) -> bool {
    secret.ends_with(is_of_word) && after.starts_with(is_of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(key: &str) -> Redaction {
        let settings = Settings::from_overrides(&[
            ("client_api_url", "https://client.example/api"),
            ("client_api_key", key),
            ("https_proxy", "http://me:s3c-ret@proxy:3128"),
            (
                "database_url",
                "postgres://sync:third@db/x?sslpassword=fourth",
            ),
        ]);
        Redaction::of(&settings.expect("settings"))
    }

    #[test]
    fn all_places_are_understood() {
        assert_eq!(redaction("key-1").places.len(), PLACES.len());
    }

    #[test]
    fn what_is_left_does_not_tell_what_was_there() {
        let text =
            "<redacted>; it was redacted and reacted; meterit-sync reads readings; a test of tests";
        for key in [
            "redact",
            "redacted",
            "react",
            "test",
            "sync",
            "meterit-sync",
            "readings",
        ] {
            assert_eq!(redaction(key).apply(text), text, "{key}");
        }
        let short = redaction("k3y").apply("k3y k3yboard x-api-key: k3y");
        assert_eq!(short, "k3y k3yboard x-api-key: <redacted>");
        let of_any_length = ["abcd-1", "abcd-1234567890-efghijklmnop"];
        for key in of_any_length {
            let text = format!("the key {key} is unknown, ({key}).\\n{key}\\n");
            assert_eq!(
                redaction(key).apply(&text),
                "the key <redacted> is unknown, (<redacted>).\\n<redacted>\\n"
            );
        }
        assert_eq!(
            redaction("abcd-1").apply("abcd-1s of abcd-12"),
            "abcd-1s of abcd-12"
        );
        let glued = redaction("a1b2c3d4e5f6").apply("keya1b2c3d4e5f6end");
        assert_eq!(glued, "key<redacted>end");
    }

    #[test]
    fn what_stands_where_a_secret_belongs_is_taken_out_whatever_it_is() {
        let redaction = redaction("key-1");
        for (text, left) in [
            (
                r#"{"api_key":"x","n":1}"#,
                r#"{"api_key":"<redacted>","n":1}"#,
            ),
            (
                r#"{"password": "a \"b\" c"}"#,
                r#"{"password": "<redacted>"}"#,
            ),
            (
                r#"{"no_token":3,"last_wrong_token": null}"#,
                r#"{"no_token":3,"last_wrong_token": null}"#,
            ),
            (
                r#""message":"sent {\"token\":\"x\"}""#,
                r#""message":"sent {\"token\":\"<redacted>\"}""#,
            ),
            ("X-API-Key: x", "X-API-Key: <redacted>"),
            ("CLIENT_API_KEY=x run", "CLIENT_API_KEY=<redacted> run"),
            (
                "client_api_key_file = \"/run/key\"",
                "client_api_key_file = \"/run/key\"",
            ),
            (
                "Proxy-Authorization: Basic eA==\nHost: y",
                "Proxy-Authorization: <redacted>\nHost: y",
            ),
            (
                "cannot reach postgres://u:x@db/y?sslpassword=z&a=b",
                "cannot reach postgres://<redacted>@db/y?sslpassword=<redacted>&a=b",
            ),
            (
                "the Client System does not accept the API key (401): Invalid API key",
                "the Client System does not accept the API key (401): Invalid API key",
            ),
        ] {
            assert_eq!(redaction.apply(text), left);
        }
    }
}
