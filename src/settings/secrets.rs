//! Everything secret among the settings, in every spelling in which it might turn up.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use super::{DatabaseSettings, Settings, layers::DEFAULTS, url::percent_encoded};

/// Shorter texts are part of too many words.
const SHORTEST: usize = 4;

impl Settings {
    /// The words in which settings are spoken of, each as often as it is used.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let is_of_none = |letter: char| !(letter.is_alphanumeric() || "_-".contains(letter));
        DEFAULTS.split(is_of_none)
    }

    /// What must not be read anywhere: the key, the tokens and the passwords, the longest first. Texts of less than four
    /// characters are left out.
    pub fn secrets(&self) -> Vec<SecretString> {
        let mut secrets = vec![self.client_system.api_key.expose_secret().to_owned()];
        if let Some(credentials) = self
            .client_system
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.credentials.as_ref())
        {
            let credentials = credentials.expose_secret();
            secrets.push(STANDARD.encode(credentials));
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            // A user name alone is a token.
            secrets.push(if password.is_empty() { user } else { password }.to_owned());
        }
        let local_api = &self.local_api;
        for token in [&local_api.control_token, &local_api.read_token] {
            secrets.extend(token.iter().map(|token| token.expose_secret().to_owned()));
        }
        if let DatabaseSettings::Postgres { url } = &self.database {
            secrets.extend(passwords(url.expose_secret()));
        }
        let mut spelt: Vec<String> = secrets
            .iter()
            .flat_map(|secret| spellings(secret))
            .collect();
        spelt.retain(|secret| secret.len() >= SHORTEST);
        spelt.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        spelt.dedup();
        spelt.into_iter().map(SecretString::from).collect()
    }
}

/// As they stand in the URL of a database.
fn passwords(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let user_info = rest.rsplit_once('@').map(|(user_info, _)| user_info);
    let password = user_info.and_then(|user_info| user_info.split_once(':'));
    let parameters = rest
        .split_once('?')
        .map_or("", |(_, parameters)| parameters);
    let in_parameters = parameters.split('&').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.to_ascii_lowercase()
            .contains("pass")
            .then(|| value.to_owned())
    });
    password
        .map(|(_, password)| password.to_owned())
        .into_iter()
        .chain(in_parameters)
        .collect()
}

/// The text itself, decoded, and as URLs and JSON write it.
fn spellings(secret: &str) -> Vec<String> {
    let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
    let quoted = serde_json::Value::from(decoded.as_str()).to_string();
    let in_json = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    vec![
        secret.to_owned(),
        percent_encoded(&decoded),
        in_json.to_owned(),
        decoded,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_known_in_every_spelling() {
        let settings = Settings::from_overrides(&[
            ("client_api_url", "https://client.example/api"),
            ("client_api_key", "a \"key\""),
            ("https_proxy", "http://me:se%40cret@proxy:3128"),
            ("control_token", "for control/+ only"),
            ("read_token", "for reading only"),
            (
                "database_url",
                "postgres://sync:pass%2Fword@db/x?sslpassword=third&a=b",
            ),
        ])
        .expect("settings");
        let secrets = settings.secrets();
        let secrets: Vec<&str> = secrets.iter().map(ExposeSecret::expose_secret).collect();
        for expected in [
            "a \"key\"",
            "a \\\"key\\\"",
            "se@cret",
            "se%40cret",
            "bWU6c2VAY3JldA==",
            "pass/word",
            "pass%2Fword",
            "third",
            "for control/+ only",
            "for%20control%2F%2B%20only",
            "for reading only",
        ] {
            assert!(secrets.contains(&expected), "{expected}: {secrets:?}");
        }
        assert!(!secrets.contains(&"me") && !secrets.contains(&"b"));
    }
}
