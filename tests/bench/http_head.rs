//! The head of an HTTP request or answer, read line by line: no more of it than both sides of a benchmark need.

use std::io::{self, BufRead};

/// What a head says.
#[derive(Debug, Default)]
pub struct Head {
    /// The first line: a request line or a status line.
    pub first_line: String,
    /// Length of the body behind it.
    pub length: usize,
    /// How the body is compressed; empty where it is not.
    pub encoding: String,
}

/// Reads a head; none where the other side has closed the connection instead of beginning one.
///
/// # Errors
/// The connection broke, or the length of the body is not told beforehand.
pub fn read(from: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut head = Head::default();
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    head.first_line = line.trim_end().to_owned();
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the connection was closed within a head"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(Some(head));
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().map_err(io::Error::other)?;
        } else if name.eq_ignore_ascii_case("content-encoding") {
            value.clone_into(&mut head.encoding);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::Error::other(
                "a body without a length is not understood here",
            ));
        }
    }
}
