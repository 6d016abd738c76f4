//! The end of the service's log, where systemd keeps it.

use std::{io, process::Stdio, time::Duration};

use tokio::process::Command;

/// The unit, as the service is installed.
const UNIT: &str = "meterit-sync";
const LINES: &str = "2000";
/// Of this many bytes at the most; lines may be long.
const LONGEST: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(15);

/// The last lines of the log.
///
/// # Errors
/// In words, where there are none to be had.
pub(super) async fn read() -> Result<String, String> {
    let mut journal = Command::new("journalctl");
    journal
        .args(["--unit", UNIT, "--lines", LINES])
        .args(["--no-pager", "--quiet", "--output", "short-iso"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, journal.output())
        .await
        .map_err(|_| format!("journalctl gave no answer within {PATIENCE:?}"))?
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => "there is no journalctl on this machine".to_owned(),
            _ => format!("journalctl cannot be started ({error})"),
        })?;
    let lines = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "journalctl failed ({}: {})",
            output.status,
            words.trim()
        ));
    }
    if lines.trim().is_empty() {
        return Err(format!(
            "the journal holds nothing of the unit {UNIT}, or may not be read by this user"
        ));
    }
    Ok(end_of(&lines).to_owned())
}

/// Whole lines from the end.
fn end_of(lines: &str) -> &str {
    let Some(surplus) = lines
        .len()
        .checked_sub(LONGEST)
        .filter(|surplus| *surplus > 0)
    else {
        return lines;
    };
    let cut = lines.as_bytes()[surplus..]
        .iter()
        .position(|byte| *byte == b'\n');
    cut.and_then(|cut| lines.get(surplus + cut + 1..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_cut_at_the_beginning_of_a_line() {
        assert_eq!(end_of("one\ntwo\n"), "one\ntwo\n");
        let long = "über\n".repeat(LONGEST / 6 + 10);
        let end = end_of(&long);
        assert!(end.len() < LONGEST && end.len() > LONGEST - 10);
        assert!(end.starts_with("über\n") && end.ends_with("über\n"));
    }
}
