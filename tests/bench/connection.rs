//! One keep-alive connection to a port of this machine, one request at a time.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::http_head;

/// A drain of a long queue is one request, so that nothing here is in a hurry.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A whole answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

pub struct Connection {
    stream: BufReader<TcpStream>,
    message: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// Nobody listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            message: Vec::new(),
        })
    }

    /// Sends a request with further header lines, each with its line end, and reads the answer.
    ///
    /// # Errors
    /// The connection broke, or what came is no answer.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        self.message.clear();
        write!(
            self.message,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        )?;
        self.message.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.message)?;
        let head = http_head::read(&mut self.stream)?
            .ok_or_else(|| io::Error::other("the connection was closed instead of an answer"))?;
        let status = head
            .first_line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok());
        let mut body = vec![0; head.length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer {
            status: status.ok_or_else(|| io::Error::other("the answer has no status"))?,
            body,
        })
    }

    /// # Errors
    /// As [`Connection::exchange`].
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.exchange("GET", path, "", b"")
    }
}
