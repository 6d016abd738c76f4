//! What a command by hand lacks where the service is installed as a package: systemd hands the service what it needs.

use crate::settings::SettingsError;

/// What to say besides, where the key is missing; how to give it to `command`.
pub(super) fn hint(error: &SettingsError, command: &str) -> Option<String> {
    error.misses("CLIENT_API_KEY").then(|| {
        format!(
            "where it is installed as a package, systemd hands the key to the service alone; by hand it is: {} (what \
             /etc/meterit-sync/environment says, if it is there, belongs behind `env` as well)",
            by_hand(command)
        )
    })
}

fn by_hand(command: &str) -> String {
    format!(
        "sudo env CLIENT_API_KEY_FILE=/etc/meterit-sync/client-api-key meterit-sync --config /etc/meterit-sync/settings.toml {command}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn the_readme_and_the_packages_settings_say_the_same_command() {
        let on_one_line = |text: &str| text.replace("\\\n  ", "").replace("\n#     ", " ");
        let readme = on_one_line(include_str!("../../README.md"));
        assert!(readme.contains(&by_hand("diagnose")), "{readme}");
        let settings = on_one_line(include_str!("../../settings/debian/settings.toml"));
        assert!(settings.contains(&by_hand("check-config")), "{settings}");
    }

    #[test]
    fn it_is_said_where_the_key_is_missing_and_nowhere_else() {
        let without_key = Settings::from_overrides(&[("client_api_url", "https://x.example/api")]);
        let hint = |settings: Result<Settings, SettingsError>| {
            hint(&settings.expect_err("not enough"), "diagnose")
        };
        assert!(
            hint(without_key).is_some_and(|hint| hint.contains("sudo env CLIENT_API_KEY_FILE="))
        );
        let without_url = Settings::from_overrides(&[("client_api_key", "key")]);
        assert_eq!(hint(without_url), None);
    }
}
