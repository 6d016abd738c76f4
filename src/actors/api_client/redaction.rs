//! Takes the API key out of what the Client System says, however it is written there.

const INSTEAD: &[u8] = b"<redacted>";
/// Shorter ones stand in many a word by chance.
const SHORTEST: usize = 6;

/// A server that repeats the key in its words must not bring it into the status, the log or the database: neither as it is,
/// nor with characters escaped as in JSON (RFC 8259, section 7) or in an address (RFC 3986, section 2.1).
pub(super) fn without_key(text: Vec<u8>, key: &str) -> Vec<u8> {
    let key = key.as_bytes();
    if key.len() < SHORTEST {
        return text;
    }
    let mut clean = Vec::new();
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        match length_of(key, &text[at..]) {
            Some(length) => {
                clean.extend_from_slice(&text[copied..at]);
                clean.extend_from_slice(INSTEAD);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return text;
    }
    clean.extend_from_slice(&text[copied..]);
    clean
}

/// How many bytes of the text the key takes at its beginning, where it stands there.
fn length_of(key: &[u8], text: &[u8]) -> Option<usize> {
    key.iter().try_fold(0, |taken, byte| {
        let rest = &text[taken..];
        match escape(rest) {
            Some((meant, length)) if meant == *byte => Some(taken + length),
            _ => (rest.first() == Some(byte)).then_some(taken + 1),
        }
    })
}

/// The byte that an escape at the beginning stands for, and how long the escape is.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    let (digits, length) = match text {
        [b'%', digits @ ..] => (digits.get(..2)?, 3),
        [b'\\', b'u' | b'U', b'0', b'0', digits @ ..] => (digits.get(..2)?, 6),
        [b'\\', meant, ..] => return Some((*meant, 2)),
        _ => return None,
    };
    let digits = str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "aB3/d+9\\\"x";

    #[test]
    fn the_key_is_found_however_it_is_written() {
        for written in [
            KEY.to_owned(),
            serde_json::to_string(KEY)
                .unwrap()
                .trim_matches('"')
                .to_owned(),
            "aB3\\/d\\u002b9\\\\\\\"x".to_owned(),
            "aB3%2Fd%2b9%5c%22x".to_owned(),
            KEY.bytes().map(|byte| format!("\\u00{byte:02X}")).collect(),
            KEY.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        ] {
            let text = format!("{{\"message\":\"bad key {written}{written}, you\"}}");
            let clean = without_key(text.into_bytes(), KEY);
            assert_eq!(
                String::from_utf8(clean).unwrap(),
                "{\"message\":\"bad key <redacted><redacted>, you\"}",
                "{written}"
            );
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "",
            "aB3/d",
            "100 % \\",
            "aB3/d+9\\\" x",
            "\\u00",
            "%4",
            "\\",
        ] {
            let same = without_key(text.as_bytes().to_vec(), KEY);
            assert_eq!(same, text.as_bytes());
        }
        let bytes = b"\xff aB3/d+9\\\"x \xfe".to_vec();
        assert_eq!(without_key(bytes, KEY), b"\xff <redacted> \xfe");
        assert_eq!(without_key(b"a key".to_vec(), "key"), b"a key");
    }
}
