//! Request bodies: read whole, decompressed, and bounded at what Express accepts.

use std::io::Read;

use actix_web::{
    HttpRequest,
    http::header,
    web::{self, Bytes},
};
use flate2::read::MultiGzDecoder;
use futures_util::StreamExt;

use super::answer::Answer;

/// The server's limit after decompression.
pub(super) const BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How a body failed to become bytes.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The client went away in the middle of it.
    Interrupted,
    /// The server refuses it with this answer, and what it could make of it.
    Refused(Answer, Bytes),
}

/// Reads the body to its end, whatever its size, and decompresses it.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    takes_zstd: bool,
) -> Result<Bytes, Unreadable> {
    let raw = read_raw(payload).await?.ok_or_else(too_large)?;
    match encoding(request) {
        None => Ok(raw),
        Some("gzip") => decompress(MultiGzDecoder::new(&*raw)),
        Some("zstd") => {
            let decoder = zstd::Decoder::new(&*raw).map_err(|_| garbled());
            let plain = decoder.and_then(decompress);
            if takes_zstd {
                plain
            } else {
                Err(unsupported("zstd", plain.unwrap_or_default()))
            }
        }
        Some(other) => Err(unsupported(other, Bytes::new())),
    }
}

fn unsupported(encoding: &str, body: Bytes) -> Unreadable {
    let words =
        format!("UnsupportedMediaTypeError: unsupported content encoding &quot;{encoding}&quot;");
    Unreadable::Refused(Answer::html(415, &words), body)
}

/// The request's `Content-Encoding`, if it has one that changes anything.
pub(super) fn encoding(request: &HttpRequest) -> Option<&str> {
    let value = request
        .headers()
        .get(header::CONTENT_ENCODING)?
        .to_str()
        .ok()?;
    (!value.eq_ignore_ascii_case("identity")).then_some(value)
}

/// `None` for a body past the limit: it is drained, so that the client gets to see the answer.
async fn read_raw(mut payload: web::Payload) -> Result<Option<Bytes>, Unreadable> {
    let mut bytes = web::BytesMut::new();
    let mut fits = true;
    while let Some(part) = payload.next().await {
        let part = part.map_err(|_| Unreadable::Interrupted)?;
        fits &= bytes.len() + part.len() <= BODY_LIMIT;
        if fits {
            bytes.extend_from_slice(&part);
        }
    }
    Ok(fits.then(|| bytes.freeze()))
}

fn decompress(decoder: impl Read) -> Result<Bytes, Unreadable> {
    let mut plain = Vec::new();
    let limit = BODY_LIMIT as u64 + 1;
    let read = decoder.take(limit).read_to_end(&mut plain);
    read.map_err(|_| garbled())?;
    if plain.len() > BODY_LIMIT {
        Err(too_large())
    } else {
        Ok(plain.into())
    }
}

fn garbled() -> Unreadable {
    let answer = Answer::html(400, "Error: incorrect header check");
    Unreadable::Refused(answer, Bytes::new())
}

fn too_large() -> Unreadable {
    let answer = Answer::html(413, "PayloadTooLargeError: request entity too large");
    Unreadable::Refused(answer, Bytes::new())
}
