//! Takes what is secret out of everything that leaves the machine. None of it should be there in the first place.

use secrecy::{ExposeSecret, SecretString};

use crate::settings::Settings;

const REDACTED: &str = "<redacted>";

/// What must not be read.
pub(super) struct Redaction(Vec<SecretString>);

impl Redaction {
    pub(super) fn of(settings: &Settings) -> Self {
        Self(settings.secrets())
    }

    /// The text without secrets.
    pub(super) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose_secret(), REDACTED)
        })
    }
}
