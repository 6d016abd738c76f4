//! NaN and infinities: JSON has no numbers for them, and some programs write them all the same.

const WORDS: [&str; 4] = ["NaN", "-NaN", "Infinity", "-Infinity"];

/// The text with something in the place of each that no field of a reading takes, so that the readings around them can be
/// judged; none where there are none.
pub(super) fn marked(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut marked = String::new();
    let (mut at, mut kept, mut is_inside) = (0, 0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => is_inside = !is_inside,
            b'\\' if is_inside => at += 1,
            b'N' | b'I' | b'-' if !is_inside => {
                let rest = &text[at..];
                if let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word)) {
                    marked.push_str(&text[kept..at]);
                    marked.push_str("{}");
                    at += word.len();
                    kept = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (kept > 0).then(|| marked + &text[kept..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_marked_outside_of_texts_alone() {
        for text in ["", "[1, -2]", r#"["NaN", "a\"Infinity", "\\"]"#] {
            assert_eq!(marked(text), None, "{text}");
        }
        assert_eq!(
            marked(r#"[NaN,"\\",-Infinity, "µ NaN"]"#).as_deref(),
            Some(r#"[{},"\\",{}, "µ NaN"]"#)
        );
    }
}
