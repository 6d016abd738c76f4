//! The program as a whole: output and exit codes.

use super::site::{KEY, REQUIRED, Site, assert_contains};

#[test]
fn check_config_prints_an_aligned_table_and_ends_well() {
    let output = Site::new()
        .with(&[("BATCH_SIZE", "250")])
        .run(&["check-config"]);
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_contains(
        &table,
        &["environment: production", "<redacted>", "built-in defaults"],
    );
    assert!(!table.contains(KEY), "{table}");
    let rows: Vec<&str> = table.lines().skip(2).collect();
    let origin = rows[0].find("from").unwrap();
    assert!(
        rows.iter().all(|row| row[..origin].ends_with("  ")),
        "{table}"
    );
    let batch_size: Vec<&str> = rows
        .iter()
        .find(|row| row.starts_with("batch_size "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(batch_size, ["batch_size", "250", "environment"]);
}

#[test]
fn the_program_exits_with_2_and_says_which_key_and_what_is_allowed() {
    let cases = [
        (
            Site::bare().with(&[REQUIRED[1]]),
            ["CLIENT_API_URL", "https://client.example.com"],
        ),
        (
            Site::new().with_config("batch_sise = 5"),
            ["batch_sise", "known keys are"],
        ),
        (
            Site::new().with(&[("BATCH_SIZE", "0")]),
            ["BATCH_SIZE", "from 1 to 100000"],
        ),
        (
            Site::new().with(&[("SYNC_INTERVAL_MINUTES", "abc")]),
            ["SYNC_INTERVAL_MINUTES", "from 1 to 1440"],
        ),
    ];
    for (site, expected) in cases {
        let output = site.run(&["check-config"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert_contains(&String::from_utf8(output.stderr).unwrap(), &expected);
    }
}

#[test]
fn wrong_arguments_exit_with_2_as_well() {
    assert_eq!(Site::new().run(&["no-such-command"]).status.code(), Some(2));
}
