//! Server-sent events, of which only the data are of interest here.

/// Puts events together from the pieces in which they arrive.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<String>,
}

impl Events {
    /// Takes a piece in, and answers with the data of all events that are whole now.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for byte in piece {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if let Some(data) = line.strip_prefix("data:") {
                let data = data.strip_prefix(' ').unwrap_or(data);
                self.data.push(data.to_owned());
            } else if line.is_empty() && !self.data.is_empty() {
                // Between lines there can only be white space of the JSON document.
                whole.push(self.data.join(" "));
                self.data.clear();
            }
            self.line.clear();
        }
        whole.retain(|data| !data.trim().is_empty());
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_whatever_the_pieces() {
        let text = ": alive\n\nid: 1\nretry: 3000\ndata:\n\nevent: message\r\ndata: {\"a\":\r\ndata: \"\u{e4}\"}\r\n\r\ndata:{}\n\ndata: cut";
        let expected = ["{\"a\": \"\u{e4}\"}", "{}"];
        let mut at_once = Events::default();
        assert_eq!(at_once.take(text.as_bytes()), expected);
        let mut bytewise = Events::default();
        let found: Vec<String> = text
            .as_bytes()
            .chunks(1)
            .flat_map(|piece| bytewise.take(piece))
            .collect();
        assert_eq!(found, expected);
    }
}
