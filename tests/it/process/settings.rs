//! Wrong settings end `run` before it has touched anything. Which ones are wrong is told in tests/settings.rs.

use super::{service::Service, site::Site};

#[test]
fn run_ends_with_2_and_names_key_and_allowed_values() {
    let file_name = "site.toml";
    let cases: [(&str, &str, &str, [&str; 2]); 4] = [
        ("CLIENT_API_URL", "", "", ["CLIENT_API_URL", "https://"]),
        ("BATCH_SIZE", "0", "", ["BATCH_SIZE", "from 1 to 100000"]),
        (
            "SYNC_INTERVAL_MINUTES",
            "abc",
            "",
            ["SYNC_INTERVAL_MINUTES", "from 1 to 1440"],
        ),
        (
            "LOG_LEVEL",
            "info",
            "batch_sise = 5",
            ["batch_sise", "known keys are"],
        ),
    ];
    for (name, value, file, expected) in cases {
        let site = Site::new()
            .set("DATABASE_URL", "sqlite:untouched.db")
            .set(name, value);
        std::fs::write(site.file(file_name), file).unwrap();
        let mut command = site.command();
        command.args(["--config", file_name]);

        let (status, said) = Service::spawn(command).wait();

        let said = said.join("\n");
        assert_eq!(status.code(), Some(2), "{name}: {said}");
        for part in expected {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!site.file("untouched.db").exists(), "{name}");
    }
}
