//! Characters that nobody sees: two names that look the same would be two meters, and one that looks empty would be none.

use std::ops::RangeInclusive;

/// What Unicode has programs show nothing for (`Default_Ignorable_Code_Point`, Unicode 17), but for [`JOINERS`] and
/// [`VARIATIONS`]; the separators of lines and paragraphs; and the marks of annotations.
const INVISIBLE: [RangeInclusive<char>; 19] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200b}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e00ff}',
    '\u{e01f0}'..='\u{e0fff}',
    // A pattern of Braille without dots.
    '\u{2800}'..='\u{2800}',
];
/// They join or part letters of scripts in which that makes another word, and make one emoji of two.
const JOINERS: RangeInclusive<char> = '\u{200c}'..='\u{200d}';
/// They choose among shapes of the character before them.
const VARIATIONS: [RangeInclusive<char>; 4] = [
    '\u{180b}'..='\u{180d}',
    '\u{180f}'..='\u{180f}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{e0100}'..='\u{e01ef}',
];

/// The first character that nobody sees and that is of no use where it stands. Control characters are not looked for.
pub(super) fn first_invisible(text: &str) -> Option<char> {
    if text.is_ascii() {
        return None;
    }
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_wrong = if JOINERS.contains(&character) {
            let after = characters.peek().copied();
            !before.is_some_and(may_be_joined) || !after.is_some_and(may_be_joined)
        } else if is_variation(character) {
            before.is_none_or(|before| char::is_whitespace(before) || is_variation(before))
        } else {
            INVISIBLE.iter().any(|range| range.contains(&character))
        };
        if is_wrong {
            return Some(character);
        }
        before = Some(character);
    }
    None
}

/// No script that joins its letters is in ASCII, and of nothing but joiners nobody sees anything.
fn may_be_joined(character: char) -> bool {
    !character.is_ascii() && !character.is_whitespace() && !JOINERS.contains(&character)
}

fn is_variation(character: char) -> bool {
    VARIATIONS.iter().any(|range| range.contains(&character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_found() {
        for (text, found) in [
            ("\u{200b}", '\u{200b}'),
            ("M-1\u{200b}", '\u{200b}'),
            ("\u{feff}M-1", '\u{feff}'),
            ("\u{202e}1-M", '\u{202e}'),
            ("M\u{2028}1", '\u{2028}'),
            ("M\u{ad}1", '\u{ad}'),
            ("M\u{2066}1\u{2069}", '\u{2066}'),
            ("\u{3164}", '\u{3164}'),
            ("\u{2800}", '\u{2800}'),
            ("M\u{e0041}", '\u{e0041}'),
            // Joiners that join nothing, or what is not joined in any script.
            ("M\u{200d}1", '\u{200d}'),
            ("\u{200d}", '\u{200d}'),
            ("क\u{200d}", '\u{200d}'),
            ("क\u{200d}\u{200d}ष", '\u{200d}'),
            ("\u{fe0f}M", '\u{fe0f}'),
            ("M\u{fe0f}\u{fe0f}", '\u{fe0f}'),
        ] {
            assert_eq!(first_invisible(text), Some(found), "{text:?}");
        }
    }

    #[test]
    fn what_people_write_is_taken() {
        for text in [
            "",
            "M-1",
            "Zähler Süd",
            "e\u{301}nergie",
            // Persian, Devanagari, Sinhala, Mongolian, an ideograph in another shape, and emoji.
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
            "ᠠ\u{180b}",
            "葛\u{e0100}",
            "1\u{fe0f}\u{20e3}",
            "👩\u{200d}🔧",
            "❤\u{fe0f}\u{200d}🔥",
            "m³/h µV Ω °C",
        ] {
            assert_eq!(first_invisible(text), None, "{text:?}");
        }
    }
}
