//! How long a request may be on its way and how long its address may be: one that does not come in to its end holds a
//! connection, and with it memory.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
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
const MOST_BYTES_HELD: usize = 12 * 1024 * 1024;

/// Bytes of bodies that are held now.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// What the body of one request holds, until its answer is made, and how it ended.
#[derive(Default)]
struct Share {
    bytes: AtomicUsize,
    is_too_much: AtomicBool,
    is_too_slow: AtomicBool,
}

impl Share {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// When there is no room for them.
    fn take(&self, bytes: usize) -> Result<(), PayloadError> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if HELD.fetch_add(bytes, Ordering::Relaxed) + bytes <= MOST_BYTES_HELD {
            return Ok(());
        }
        self.is_too_much.store(true, Ordering::Relaxed);
        Err(PayloadError::Io(io::ErrorKind::OutOfMemory.into()))
    }

    fn end_for_time(&self) -> PayloadError {
        self.is_too_slow.store(true, Ordering::Relaxed);
        PayloadError::Io(io::ErrorKind::TimedOut.into())
    }

    /// Why the body was not read to its end, where that is a matter of these limits. Whatever the body was for cannot tell it
    /// from a body that broke off.
    fn problem(&self) -> Option<Problem> {
        if self.is_too_much.load(Ordering::Relaxed) {
            Some(Problem::busy_taking_in())
        } else if self.is_too_slow.load(Ordering::Relaxed) {
            Some(Problem::too_slow())
        } else {
            None
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        HELD.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
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
    let payload = Box::pin(limited(payload, Arc::clone(&share)));
    request.set_payload(Payload::Stream { payload });
    let response = next.call(request).await?;
    match share.problem() {
        None => Ok(response.map_into_left_body()),
        Some(problem) => Ok(response
            .into_response(problem.error_response())
            .map_into_right_body()),
    }
}

fn address_bytes(address: &Uri) -> usize {
    address
        .path_and_query()
        .map_or(0, |parts| parts.as_str().len())
}

/// Ends a body that takes too long, or that there is no room for. What it held counts until both this and the answer are done.
fn limited(
    mut payload: Payload,
    share: Arc<Share>,
) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    let mut end = Box::pin(tokio::time::sleep(LONGEST_BODY));
    stream::poll_fn(move |context| {
        let next = payload.poll_next_unpin(context);
        match next {
            Poll::Pending if end.poll_unpin(context).is_ready() => {
                Poll::Ready(Some(Err(share.end_for_time())))
            }
            Poll::Ready(Some(Ok(bytes))) => {
                Poll::Ready(Some(share.take(bytes.len()).map(|()| bytes)))
            }
            next => next,
        }
    })
}
