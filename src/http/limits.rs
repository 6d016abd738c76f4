//! How long a request may be on its way and how long its address may be: one that does not come in to its end holds a
//! connection, and with it memory.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::Uri,
    middleware::Next,
    web::Bytes,
};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, Stream},
};

use super::problem::Problem;

/// For the head of a request, from the first byte on, and for a connection on which nothing is asked.
pub const LONGEST_HEAD: Duration = Duration::from_secs(5);
/// For the body.
const LONGEST_BODY: Duration = Duration::from_secs(60);
/// The most bytes of bodies that are held at once, of all requests.
const MOST_BYTES_HELD: usize = 16 * 1024 * 1024;

/// Bytes of bodies that are held now.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What the body of one request holds, until its answer is made.
#[derive(Default)]
struct Share(AtomicUsize);

impl Share {
    /// Whether there is room for so many bytes more.
    fn takes(&self, bytes: usize) -> bool {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        HELD.fetch_add(bytes, Ordering::Relaxed) + bytes <= MOST_BYTES_HELD
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        HELD.fetch_sub(*self.0.get_mut(), Ordering::Relaxed);
    }
}

/// The most bytes of an address, the query included.
const LONGEST_ADDRESS: usize = 8 * 1024;

/// Refuses an address that is too long, and ends a body that takes too long.
pub(super) async fn keep(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let address = address_bytes(request.uri());
    if address > LONGEST_ADDRESS {
        let problem = Problem::address_too_long(LONGEST_ADDRESS);
        let refused = request.into_response(problem.error_response());
        return Ok(refused.map_into_right_body());
    }
    let payload = match request.take_payload() {
        Payload::None => return Ok(next.call(request).await?.map_into_left_body()),
        payload => payload,
    };
    let share = Arc::<Share>::default();
    let own = Arc::clone(&share);
    let counted = payload.map(move |bytes| match bytes {
        Ok(bytes) if !own.takes(bytes.len()) => {
            Err(PayloadError::Io(io::ErrorKind::OutOfMemory.into()))
        }
        bytes => bytes,
    });
    let payload = Box::pin(within(LONGEST_BODY, counted));
    request.set_payload(Payload::Stream { payload });
    let response = next.call(request).await?.map_into_left_body();
    // What was read is kept until the answer is made.
    drop(share);
    Ok(response)
}

fn address_bytes(address: &Uri) -> usize {
    address
        .path_and_query()
        .map_or(0, |parts| parts.as_str().len())
}

/// Whether a body was not read to its end because it took too long.
pub(super) fn is_too_slow(error: &Error) -> bool {
    is_of_kind(error, io::ErrorKind::TimedOut)
}

/// Whether a body was not read to its end because all bodies together are too large.
pub(super) fn is_too_much_at_once(error: &Error) -> bool {
    is_of_kind(error, io::ErrorKind::OutOfMemory)
}

fn is_of_kind(error: &Error, kind: io::ErrorKind) -> bool {
    let error = error.as_error::<PayloadError>();
    error.is_some_and(|error| matches!(error, PayloadError::Io(error) if error.kind() == kind))
}

fn within(
    longest: Duration,
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    let mut end = Box::pin(tokio::time::sleep(longest));
    stream::poll_fn(move |context| {
        let next = payload.poll_next_unpin(context);
        if next.is_pending() && end.poll_unpin(context).is_ready() {
            let too_late = io::Error::from(io::ErrorKind::TimedOut);
            return std::task::Poll::Ready(Some(Err(PayloadError::Io(too_late))));
        }
        next
    })
}
