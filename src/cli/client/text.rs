//! Text for people: aligned, in plain lines, with nothing in it that a terminal would obey.

use std::fmt::Display;

use serde::Serialize;

pub(in crate::cli) use crate::domain::words::counted;
use crate::domain::words::is_plain;

/// What stands where there is nothing to tell.
pub(super) const NOTHING: &str = "–";

/// Words of others on one line: control characters, which a terminal would obey, become blanks.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|character| if is_plain(character) { character } else { ' ' })
        .collect()
}

/// As [`one_line`], for a text of several.
pub(in crate::cli) fn in_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(one_line).collect();
    lines.join("\n")
}

/// The value on one line, or a dash; a text that is there but empty can be seen.
pub(super) fn or_nothing(value: Option<impl Display>) -> String {
    match value.map(|value| one_line(&value.to_string())) {
        None => NOTHING.to_owned(),
        Some(text) if text.trim().is_empty() => format!("\"{text}\""),
        Some(text) => text,
    }
}

/// On one line, cut where it is longer than that many characters.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= longest {
        return text;
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The word under which the service tells a state, a trigger or a reason.
pub(super) fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    let word = word.as_ref().and_then(|word| word.as_str());
    word.unwrap_or(NOTHING).to_owned()
}

/// A time span in its two largest units: `45 s`, `3 min 5 s`, `2 h 1 min`, `3 d 4 h`.
pub(super) fn lasting(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, of: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {of}"),
    };
    if days > 0 {
        two(days, "d", hours % 24, "h")
    } else if hours > 0 {
        two(hours, "h", minutes % 60, "min")
    } else if minutes > 0 {
        two(minutes, "min", seconds % 60, "s")
    } else {
        format!("{seconds} s")
    }
}

/// Seconds with a fraction, as [`lasting`].
pub(super) fn lasting_about(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion that saturates is what is wanted of a time span"
    )]
    lasting(seconds.ceil() as u64)
}

/// Bytes in the unit that leaves few digits.
pub(super) fn bytes(count: u64) -> String {
    let units = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    let Some((size, unit)) = units.into_iter().find(|(size, _)| count >= *size) else {
        return format!("{count} B");
    };
    let tenths = count / (size / 10);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Names and values in two columns, a line each.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let rows = rows
        .iter()
        .map(|(name, value)| vec![(*name).to_owned(), value.clone()])
        .collect();
    aligned(rows)
}

/// A heading and rows, columns aligned.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let heading = heading.iter().map(|name| name.to_uppercase()).collect();
    aligned(std::iter::once(heading).chain(rows).collect())
}

fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        line.join("  ").trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_cannot_steer_the_terminal() {
        assert_eq!(one_line("a\x1b[2J\nb\tc\u{202e}d\u{9b}e"), "a [2J b c d e");
        assert_eq!(shortened("a refusal\nwith many words", 12), "a refusal w…");
        assert_eq!(shortened("short", 12), "short");
        assert_eq!(or_nothing(None::<&str>), "–");
        assert_eq!(or_nothing(Some("")), "\"\"");
    }

    #[test]
    fn columns_are_aligned_whatever_is_in_them() {
        let rows = [
            vec!["1".to_owned(), "Zähler".to_owned(), "kWh".to_owned()],
            vec!["200".to_owned(), String::new(), NOTHING.to_owned()],
        ];
        assert_eq!(
            table(&["id", "meter", "unit"], rows),
            "ID   METER   UNIT\n1    Zähler  kWh\n200          –\n"
        );
        assert_eq!(
            facts(&[("queue", "0".to_owned()), ("disk", "1".to_owned())]),
            "queue  0\ndisk   1\n"
        );
    }

    #[test]
    fn spans_and_sizes_are_short() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (185, "3 min 5 s"),
            (7_260, "2 h 1 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(lasting(seconds), words);
        }
        assert_eq!(lasting_about(0.2), "1 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678_901), "12.3 GB");
        assert_eq!(counted(1_i64, "reading", "readings"), "1 reading");
        assert_eq!(counted(0_u64, "reading", "readings"), "0 readings");
    }
}
