//! An HTTP message as far as a proxy needs to know it: where its head ends, and how long it is.

use std::io;

use tokio::{io::AsyncReadExt, net::TcpStream};

/// A longer message is passed on as it comes.
const LONGEST: usize = 64 << 20;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A message, or its beginning where its length is not announced.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Whether `bytes` is all of it.
    pub(super) is_whole: bool,
}

impl Message {
    /// Reads a request, which without an announced length has no body; none at the end of the stream.
    pub(super) async fn request(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        Self::read(stream, Some(0)).await
    }

    /// Reads an answer, which without an announced length goes on for nobody knows how long.
    pub(super) async fn answer(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        Self::read(stream, None).await
    }

    async fn read(stream: &mut TcpStream, unannounced: Option<usize>) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        let head = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok((!bytes.is_empty()).then_some(Self {
                    bytes,
                    is_whole: false,
                }));
            }
            if let Some(end) = end_of_head(&bytes) {
                break end;
            }
        };
        let length = content_length(&bytes[..head]).or(unannounced);
        let Some(length) = length.filter(|length| *length <= LONGEST) else {
            return Ok(Some(Self {
                bytes,
                is_whole: false,
            }));
        };
        while bytes.len() < head + length {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(Some(Self {
                    bytes,
                    is_whole: false,
                }));
            }
        }
        Ok(Some(Self {
            bytes,
            is_whole: true,
        }))
    }

    /// Whether it is a request that uploads a batch.
    pub(super) fn is_upload(&self) -> bool {
        let first_line = self.bytes.split(|byte| *byte == b'\r').next();
        first_line.is_some_and(|line| {
            line.starts_with(b"POST ")
                && line
                    .windows(b"/sync/readings/batch".len())
                    .any(|window| window == b"/sync/readings/batch")
        })
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD)
        .map(|at| at + END_OF_HEAD.len())
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}
