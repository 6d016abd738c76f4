//! What a sentence is about, whatever the numbers and times in it: told so that the log hears of a new cause, and not of every
//! reading that comes in.

use super::status::Evidence;

/// No status of HTTP is smaller, or as large.
const STATUSES: std::ops::Range<u16> = 100..600;

impl Evidence {
    /// Equal for two moments whose sentences differ in numbers and times alone.
    pub(super) fn cause(&self) -> String {
        let bare = self.without_counts();
        without_numbers(&bare.explained(bare.verdict()).reason)
    }

    /// The same with counts, and a time ahead, that say nothing of the cause: they make words come and go as well.
    fn without_counts(&self) -> Self {
        let mut bare = self.clone();
        let queue = &mut bare.database.queue;
        queue.pending = 0;
        queue.eta_s = None;
        queue.quarantined = queue.quarantined.min(1);
        queue.parked_batches = queue.parked_batches.min(1);
        if let Some(pass) = &mut bare.manager.current_pass {
            if let Some(setback) = &mut pass.setback {
                setback.again_at = None;
                pass.delivered = 0;
            }
            // More than one are told in the same words as none.
            pass.delivered = if pass.delivered == 0 { 0 } else { 2 };
        }
        bare
    }
}

/// The text with a `#` in the place of every number and time, but for what may be the status of an answer, which is a cause.
fn without_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        masked.push_str(before);
        let end = number.find(|letter| !is_of_a_number(letter));
        let whole = number.split_at(end.unwrap_or(number.len())).0;
        // Stops and hyphens at its end are the sentence's.
        let number_alone = whole.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_status = number_alone.len() == 3
            && number_alone
                .parse()
                .is_ok_and(|number: u16| STATUSES.contains(&number));
        masked.push_str(if is_status { number_alone } else { "#" });
        rest = &number[number_alone.len()..];
    }
    masked.push_str(rest);
    masked
}

/// Times have letters and signs as well: `2026-11-26T14:02:00.000Z`.
fn is_of_a_number(letter: char) -> bool {
    letter.is_ascii_digit() || matches!(letter, '.' | ',' | ':' | '-' | 'T' | 'Z')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_masked_and_statuses_are_not() {
        for (text, masked) in [
            ("nothing at all", "nothing at all"),
            (
                "since 2026-11-26T14:02:00.000Z, 11 in a row (404: no such site); 12,480 readings.",
                "since #, # in a row (404: no such site); # readings.",
            ),
            ("its health check says 503.", "its health check says 503."),
            (
                "refused by 10.0.0.3:8443 (os error 111)",
                "refused by # (os error 111)",
            ),
            ("1 h 30 min, 999 readings", "# h # min, # readings"),
        ] {
            assert_eq!(without_numbers(text), masked);
        }
    }
}
