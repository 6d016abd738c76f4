//! Answers, honest and broken, and how they leave through the HTTP server.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    http::StatusCode,
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use super::connection::Connection;

/// An answer as it should arrive.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// So many blanks, packed. They are kept, for packing takes seconds in a debug build, longer than a client may wait.
pub(super) fn packed_blanks(bytes: usize) -> Bytes {
    static PACKED: Mutex<BTreeMap<usize, Bytes>> = Mutex::new(BTreeMap::new());
    let mut packed = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
    packed.entry(bytes).or_insert_with(|| pack(bytes)).clone()
}

fn pack(bytes: usize) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let blanks = [b' '; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(blanks.len());
        // Writing into memory does not fail.
        let _ = packed.write_all(&blanks[..part]);
        left -= part;
    }
    packed.finish().unwrap_or_default().into()
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(
            "Content-Type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        )];
        Self {
            status,
            headers,
            body: body.to_string().into(),
        }
    }

    /// Express's own error page.
    pub fn html(status: u16, words: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n\
             <body>\n<pre>{words}</pre>\n</body>\n</html>\n"
        );
        let headers = vec![(
            "Content-Type".to_owned(),
            "text/html; charset=utf-8".to_owned(),
        )];
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    pub fn validation_error(errors: &[Value]) -> Self {
        Self::json(
            400,
            &json!({"success": false, "message": "Validation error", "errors": errors}),
        )
    }

    /// As given by a script: JSON, unless its headers say otherwise.
    pub fn scripted(status: u16, headers: &[(String, String)], body: &str) -> Self {
        let mut answer = Self {
            status,
            headers: headers.to_vec(),
            body: body.to_owned().into(),
        };
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            answer.headers.push((
                "Content-Type".to_owned(),
                "application/json; charset=utf-8".to_owned(),
            ));
        }
        answer
    }

    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// A small body that becomes as long as this when it is unpacked.
    pub fn bomb(bytes: usize) -> Self {
        let headers = [
            ("Content-Type", "application/json"),
            ("Content-Encoding", "gzip"),
        ];
        Self {
            status: 200,
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: packed_blanks(bytes),
        }
    }

    /// The start of the body as text, for the ledger.
    pub fn excerpt(&self) -> String {
        let start = &self.body[..self.body.len().min(2_000)];
        String::from_utf8_lossy(start).into_owned()
    }
}

/// What really happens on the wire.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The answer arrives.
    Whole(Answer),
    /// Its head promises all of the body, but only so many bytes follow before the close.
    Truncated(Answer, usize),
    /// A 200 with a body of this many bytes.
    Gigantic(u64),
    /// A 200 with an endless body, a byte at a time.
    Drip(Duration),
    /// A reset instead of an answer.
    Reset,
    /// An orderly close instead of an answer.
    Close,
}

impl Delivery {
    /// The status that the client gets to see, if any.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(answer) | Self::Truncated(answer, _) => Some(answer.status),
            Self::Gigantic(_) | Self::Drip(_) => Some(200),
            Self::Reset | Self::Close => None,
        }
    }

    /// Hands it to the HTTP server.
    pub fn into_response(self, connection: Option<&Arc<Connection>>) -> HttpResponse {
        match self {
            Self::Whole(answer) => head(&answer).body(answer.body),
            Self::Truncated(answer, keep) => {
                head(&answer).body(BrokenBody::after(&answer.body, keep))
            }
            Self::Gigantic(bytes) => HttpResponse::Ok()
                .content_type("application/json")
                .body(LongBody(bytes)),
            Self::Drip(pause) => HttpResponse::Ok()
                .content_type("application/json")
                .streaming(dripping(pause)),
            Self::Reset => {
                if let Some(connection) = connection {
                    connection.reset_on_close();
                }
                HttpResponse::Ok().body(BrokenBody::at_once())
            }
            Self::Close => HttpResponse::Ok().body(BrokenBody::at_once()),
        }
    }
}

fn head(answer: &Answer) -> actix_web::HttpResponseBuilder {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut head = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        head.append_header((name.as_str(), value.as_str()));
    }
    head
}

/// A body that fails: at once, before even the head has left, or after a first part was flushed. The server
/// can then only drop the connection.
struct BrokenBody {
    announced: u64,
    part: Option<Bytes>,
    flushed: bool,
}

impl BrokenBody {
    fn at_once() -> Self {
        Self {
            announced: 1,
            part: None,
            flushed: true,
        }
    }

    fn after(body: &Bytes, keep: usize) -> Self {
        // At least one byte stays back, or the answer would be whole.
        let keep = keep.min(body.len().saturating_sub(1));
        let part = Some(body.slice(..keep)).filter(|part| !part.is_empty());
        Self {
            announced: body.len().max(1) as u64,
            part,
            flushed: false,
        }
    }
}

impl MessageBody for BrokenBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.announced)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(part) = self.part.take() {
            return Poll::Ready(Some(Ok(part)));
        }
        if !self.flushed {
            // The server flushes what it has when a body pauses.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::Error::other("scripted fault"))))
    }
}

fn dripping(pause: Duration) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok(Bytes::from_static(b" ")), ()))
    })
}

/// A chunked body of so many bytes.
struct LongBody(u64);

impl MessageBody for LongBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        const PART: &[u8] = &[b' '; 64 * 1024];
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        let bytes = usize::try_from(self.0)
            .unwrap_or(usize::MAX)
            .min(PART.len());
        self.0 -= bytes as u64;
        Poll::Ready(Some(Ok(Bytes::from_static(&PART[..bytes]))))
    }
}
