//! Server-sent events as they come: in pieces of any size, cut anywhere.

/// No event of the service comes near this size, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The event's name.
    pub(super) name: String,
    /// What it says, lines separated by line feeds.
    pub(super) data: String,
}

/// What comes is no stream of events: nothing that ends in reasonable time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endless;

/// Puts pieces together. Lines end with CR, LF or both; comments and unknown fields are passed over.
#[derive(Debug, Default)]
pub(super) struct EventStream {
    line: Vec<u8>,
    after_return: bool,
    name: String,
    data: String,
}

impl EventStream {
    /// Takes a piece; the events that end in it.
    ///
    /// # Errors
    /// When an event grows beyond all measure.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Vec<Frame>, Endless> {
        let mut frames = Vec::new();
        for byte in piece {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    frames.extend(self.end_line());
                }
                other => self.line.push(*other),
            }
            if self.line.len() + self.data.len() > MOST_BYTES {
                return Err(Endless);
            }
        }
        Ok(frames)
    }

    fn end_line(&mut self) -> Option<Frame> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_frame();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            _ => {}
        }
        None
    }

    fn end_frame(&mut self) -> Option<Frame> {
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // The line feed behind the last line separates nothing.
        data.pop()?;
        Some(Frame { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = ": connected\n\nevent: connected\ndata: {\"a\":\"ä: b\"}\n\n: alive\n\nretry: 5\ndata:one\r\ndata: two\r\n\r\n\
                          event: nothing\n\nevent: last\rdata: three\r\rdata: never ended";

    fn whole() -> Vec<Frame> {
        let frame = |name: &str, data: &str| Frame {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        vec![
            frame("connected", "{\"a\":\"ä: b\"}"),
            frame("", "one\ntwo"),
            frame("last", "three"),
        ]
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_make_the_same_events(cuts in prop::collection::vec(0..STREAM.len(), 0..20)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut stream = EventStream::default();
            let mut frames = Vec::new();
            for cut in cuts.windows(2) {
                frames.extend(stream.take(&STREAM.as_bytes()[cut[0]..cut[1]]).expect("it ends"));
            }
            prop_assert_eq!(frames, whole());
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut stream = EventStream::default();
        let piece = [b'x'; 64 * 1024];
        assert!((0..100).any(|_| stream.take(&piece) == Err(Endless)));
        let mut stream = EventStream::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        assert!((0..100).any(|_| stream.take(&line) == Err(Endless)));
    }
}
