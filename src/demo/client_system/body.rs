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
    /// The server refuses it with this answer.
    Refused(Answer),
}

/// Reads the body to its end, whatever its size, and decompresses it.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Bytes, Unreadable> {
    let raw = read_raw(payload).await?;
    match encoding(request) {
        None => raw.ok_or_else(too_large),
        Some("gzip") => raw.as_deref().map_or_else(|| Err(too_large()), decompress),
        Some(other) => {
            let words = format!(
                "UnsupportedMediaTypeError: unsupported content encoding &quot;{other}&quot;"
            );
            Err(Unreadable::Refused(Answer::html(415, &words)))
        }
    }
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

fn decompress(raw: &[u8]) -> Result<Bytes, Unreadable> {
    let mut plain = Vec::with_capacity(raw.len() * 8);
    let limit = BODY_LIMIT as u64 + 1;
    if MultiGzDecoder::new(raw)
        .take(limit)
        .read_to_end(&mut plain)
        .is_err()
    {
        return Err(Unreadable::Refused(Answer::html(
            400,
            "Error: incorrect header check",
        )));
    }
    if plain.len() > BODY_LIMIT {
        Err(too_large())
    } else {
        Ok(plain.into())
    }
}

fn too_large() -> Unreadable {
    Unreadable::Refused(Answer::html(
        413,
        "PayloadTooLargeError: request entity too large",
    ))
}
