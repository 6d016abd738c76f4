//! Readings that come one per line, each read as soon as it is whole, so that the body need not be kept.

use std::{fmt, mem, str::Utf8Error};

use super::{Judged, MOST_BYTES, MOST_READINGS, check_count, check_size, malformed};
use crate::{control::ControlError, domain::reading::Reading};

/// The lines of a request as far as they have come in. Nothing is refused before the end, for only there it is known what is
/// wrong with the whole.
#[derive(Default)]
pub struct IncomingLines {
    /// Bytes of the body up to `begun`.
    read: usize,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// Lines that are not blank.
    count: usize,
    judged: Judged,
    /// Where the body stops to be text.
    no_text: Option<NoText>,
}

impl IncomingLines {
    /// Takes in the next bytes of the body, and reads the lines that end in them. More than [`MOST_BYTES`] are counted only.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.size() + bytes.len() > MOST_BYTES {
            self.read += mem::take(&mut self.begun).len() + bytes.len();
            return;
        }
        let mut bytes = bytes;
        if !self.begun.is_empty() {
            let Some((end, rest)) = split_behind(bytes, bytes.iter().position(is_line_feed)) else {
                self.begun.extend_from_slice(bytes);
                return;
            };
            let mut line = mem::take(&mut self.begun);
            line.extend_from_slice(end);
            self.read_lines(&line);
            bytes = rest;
        }
        let last = bytes.iter().rposition(is_line_feed);
        if let Some((lines, rest)) = split_behind(bytes, last) {
            self.read_lines(lines);
            bytes = rest;
        }
        self.begun.extend_from_slice(bytes);
    }

    /// Bytes that have come in.
    pub fn size(&self) -> usize {
        self.read + self.begun.len()
    }

    /// All readings, now that the last byte has come in.
    ///
    /// # Errors
    /// As [`crate::control::Control::store_readings`], as far as the body alone tells.
    pub fn finish(mut self) -> Result<Vec<Reading>, ControlError> {
        check_size(self.size())?;
        let last = mem::take(&mut self.begun);
        self.read_lines(&last);
        if let Some(no_text) = self.no_text {
            return Err(malformed(&no_text));
        }
        check_count(self.count)?;
        self.judged.into_result()
    }

    fn read_lines(&mut self, lines: &[u8]) {
        match std::str::from_utf8(lines) {
            _ if self.no_text.is_some() => {}
            Ok(text) => text.lines().for_each(|line| self.read_line(line)),
            Err(error) => self.no_text = Some(NoText::new(self.read, error)),
        }
        self.read += lines.len();
    }

    fn read_line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.count < MOST_READINGS {
            self.judged.judge(self.count, line);
        }
        self.count += 1;
    }
}

fn is_line_feed(byte: &u8) -> bool {
    *byte == b'\n'
}

fn split_behind(bytes: &[u8], position: Option<usize>) -> Option<(&[u8], &[u8])> {
    position.and_then(|position| bytes.split_at_checked(position + 1))
}

/// Bytes that are no UTF-8, in the words that the standard library has for them, but counted from the body's first byte.
struct NoText {
    at: usize,
    /// How many bytes; none where the body ends within a character.
    length: Option<usize>,
}

impl NoText {
    fn new(read: usize, error: Utf8Error) -> Self {
        Self {
            at: read + error.valid_up_to(),
            length: error.error_len(),
        }
    }
}

impl fmt::Display for NoText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.length {
            Some(length) => write!(
                formatter,
                "invalid utf-8 sequence of {length} bytes from index {at}"
            ),
            None => write!(formatter, "incomplete utf-8 byte sequence from index {at}"),
        }
    }
}
