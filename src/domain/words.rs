//! What several rooms say to people in the same words.

/// What to do where the Client System does not accept the API key, wherever that comes from and whoever tells it.
pub const SET_THE_RIGHT_KEY: &str = "set the right key (CLIENT_API_KEY, or the file that CLIENT_API_KEY_FILE names) and restart \
    the service; a reload is enough only where the service itself reads that file, and systemd does not hand the key over; \
    the key in force is tried again every 5 minutes";

/// What to do where nobody but a person starts passes.
pub const START_A_PASS: &str =
    "start a pass with POST /api/v1/sync/trigger, for ENABLE_AUTO_SYNC is false";

/// What happens by itself, or else what a person does to start a pass; `by_hand` says when.
pub fn by_itself_or(automatic: bool, by_itself: &str, by_hand: &str) -> String {
    if automatic {
        by_itself.to_owned()
    } else {
        format!("{by_hand}{START_A_PASS}")
    }
}

/// Words of others, cut to so many characters.
pub fn cut(words: &str, longest: usize) -> String {
    match words.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// Whether a terminal shows the character and does nothing else: neither a control character, nor one that turns the direction
/// of writing.
pub fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number with a comma between its thousands: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let separated = digits.char_indices().flat_map(|(position, digit)| {
        let starts_group = position > 0 && (digits.len() - position).is_multiple_of(3);
        starts_group.then_some(',').into_iter().chain([digit])
    });
    separated.collect()
}

/// `1 reading`, `1,234 readings`.
pub fn counted(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {one}"),
        number => format!("{} {many}", count(number)),
    }
}

/// How a sentence about so many readings begins, and how it goes on about them: `1 reading is` and `it`; none where there
/// are none.
pub fn readings_are(number: u64) -> Option<(String, &'static str)> {
    let them = match number {
        0 => return None,
        1 => "it",
        _ => "them",
    };
    Some((counted(number, "reading is", "readings are"), them))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1_u64, "reading", "readings"), "1 reading");
        assert_eq!(
            counted(12_480_u64, "reading", "readings"),
            "12,480 readings"
        );
    }
}
