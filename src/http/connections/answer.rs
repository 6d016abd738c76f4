//! What a request is until its answer is complete: under way from when it has come in to its end, and a share of what all
//! answers may take of memory. A long answer is handed over piece by piece, so that what nobody reads is not kept twice.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method, Version,
        header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING, UPGRADE},
    },
    middleware::Next,
    web::Bytes,
};
use futures_util::{StreamExt, stream};

use super::{
    Connection, MOST_HELD_EVER,
    life::{Life, UNTIL_ITS_END},
};
use crate::http::problem::Problem;

/// So much of an answer is handed over at once.
const PIECE: usize = 16 * 1024;
/// Answers up to this size are never refused: all connections together cannot hold much of them.
const SMALL: usize = 2 * PIECE;

/// One more request of a connection, for as long as this lives.
pub(super) struct UnderWay {
    connection: Option<Connection>,
    has_begun: AtomicBool,
}

impl UnderWay {
    /// Not yet: the request may have more to come.
    pub(super) fn of(connection: Option<&Connection>) -> Self {
        if let Some(Connection { life, .. }) = connection {
            life.begun.fetch_add(1, Ordering::Relaxed);
            life.requests.fetch_add(1, Ordering::Relaxed);
            life.body_left.store(0, Ordering::Relaxed);
            life.is_endless.store(false, Ordering::Relaxed);
        }
        Self {
            connection: connection.cloned(),
            has_begun: AtomicBool::new(false),
        }
    }

    fn life(&self) -> Option<&Life> {
        let connection = self.connection.as_ref()?;
        Some(&connection.life)
    }

    /// No other request is taken from this connection.
    fn be_the_last(&self) {
        if let Some(life) = self.life() {
            life.is_last.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the other side may be told meanwhile that its answer takes time.
    fn let_be_told_to_wait(&self, may_be_told: bool) {
        if let Some(life) = self.life() {
            life.may_be_told_to_wait
                .store(may_be_told, Ordering::Relaxed);
        }
    }

    /// The answer ends only with the connection.
    fn be_endless(&self) {
        if let Some(life) = self.life() {
            life.is_endless.store(true, Ordering::Relaxed);
            life.reader.wake();
        }
    }

    /// A body of so many bytes is still to come. Its beginning is taken in whether anybody reads it or not.
    pub(super) fn begin_body(&self, bytes: u64) {
        if let Some(life) = self.life() {
            life.body_left.store(bytes, Ordering::Relaxed);
            life.begins_body.store(true, Ordering::Relaxed);
            life.reader.wake();
        }
    }

    /// Whether whoever reads the body has nothing left to read.
    pub(super) fn note_wants_more(&self, wants_more: bool) {
        if let Some(life) = self.life() {
            // The reader has the body looked at again, so that each time would bring the next.
            let wanted_before = life.wants_more.swap(wants_more, Ordering::Relaxed);
            if wants_more && !wanted_before {
                life.reader.wake();
            }
        }
    }

    /// The body has been read to its end.
    fn end_body(&self) {
        if let Some(life) = self.life() {
            life.body_left.store(0, Ordering::Relaxed);
        }
    }

    /// The request has come in, so that it waits for us from now on.
    pub(super) fn begin(&self) {
        if let Some(connection) = &self.connection
            && !self.has_begun.swap(true, Ordering::Relaxed)
        {
            let Connection { life, open, .. } = connection;
            life.awaits_since.store(open.now(), Ordering::Relaxed);
            life.under_way.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        connection.life.requests.fetch_sub(1, Ordering::Relaxed);
        connection.life.wants_more.store(false, Ordering::Relaxed);
        connection.life.begins_body.store(false, Ordering::Relaxed);
        connection.life.reader.wake();
        if *self.has_begun.get_mut() {
            connection.life.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Bytes of an answer that are kept, for as long as this lives.
pub(super) struct Held {
    connection: Connection,
    bytes: usize,
}

impl Held {
    /// None where all answers together take too much.
    pub(super) fn of(connection: &Connection, bytes: usize) -> Option<Self> {
        let before = connection.open.held.fetch_add(bytes, Ordering::Relaxed);
        connection.life.held.fetch_add(bytes, Ordering::Relaxed);
        // Gives back what was added where it is not returned.
        let held = Self {
            connection: connection.clone(),
            bytes,
        };
        connection.open.make_room_for_answers();
        let fits = bytes <= SMALL || before == 0 || before + bytes <= MOST_HELD_EVER;
        fits.then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Connection { life, open, .. } = &self.connection;
        life.held.fetch_sub(self.bytes, Ordering::Relaxed);
        open.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Keeps the connection of a request from making room for others while it waits for us, and bounds what is kept of answers.
pub(in crate::http) async fn keep_open(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connection = request.conn_data::<Connection>().cloned();
    let under_way = Arc::new(UnderWay::of(connection.as_ref()));
    if request.head().connection_type() != ConnectionType::KeepAlive {
        under_way.be_the_last();
    }
    match request.take_payload() {
        Payload::None => under_way.begin(),
        payload => {
            under_way.begin_body(body_bytes(request.headers()));
            request.set_payload(until_its_end(payload, Arc::clone(&under_way)));
        }
    }
    let looks = *request.method() == Method::GET;
    under_way.let_be_told_to_wait(request.version() >= Version::HTTP_11);
    let response = if connection.as_ref().is_some_and(Connection::is_one_too_many) {
        request.into_response(Problem::busy_with_connections().error_response())
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    under_way.let_be_told_to_wait(false);
    let (request, response) = response.into_parts();
    let (mut response, mut body) = response.into_parts();
    let mut held = None;
    if let (Some(connection), BodySize::Sized(bytes)) = (&connection, body.size()) {
        held = Held::of(connection, usize::try_from(bytes).unwrap_or(usize::MAX));
        // What has changed something is told in any case.
        if held.is_none() && looks {
            (response, body) = Problem::busy_answering().error_response().into_parts();
        }
    }
    let body = Body::of(body);
    // What was to change something is answered, however long that takes and in whatever pieces.
    if looks && matches!(body, Body::Growing(_)) {
        under_way.be_endless();
    }
    let answer = Answer {
        body,
        _held: held,
        _under_way: under_way,
    };
    Ok(ServiceResponse::new(request, response.set_body(answer)))
}

/// How long the body of a request says that it is, in the same words as to the server.
fn body_bytes(headers: &HeaderMap) -> u64 {
    let is_websocket = |value: &HeaderValue| {
        let words = value.to_str().map(str::trim);
        words.is_ok_and(|words| words.eq_ignore_ascii_case("websocket"))
    };
    if headers.contains_key(TRANSFER_ENCODING) || headers.get_all(UPGRADE).any(is_websocket) {
        return UNTIL_ITS_END;
    }
    let said = headers.get(CONTENT_LENGTH);
    let bytes = said.and_then(|said| said.to_str().ok()?.trim().parse().ok());
    bytes.unwrap_or(UNTIL_ITS_END)
}

fn until_its_end(mut payload: Payload, under_way: Arc<UnderWay>) -> Payload {
    let stream = stream::poll_fn(move |context| {
        let next = payload.poll_next_unpin(context);
        under_way.note_wants_more(next.is_pending());
        if matches!(next, Poll::Ready(None)) {
            under_way.end_body();
        }
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            under_way.begin();
        }
        next
    });
    Payload::Stream {
        payload: Box::pin(stream),
    }
}

/// The body of an answer, what it holds, and the mark that it is under way.
struct Answer {
    body: Body,
    _held: Option<Held>,
    _under_way: Arc<UnderWay>,
}

enum Body {
    /// All of it is there.
    Whole(Bytes),
    /// It comes by and by.
    Growing(BoxBody),
}

impl Body {
    fn of(body: BoxBody) -> Self {
        match body.try_into_bytes() {
            Ok(bytes) => Self::Whole(bytes),
            Err(body) => Self::Growing(body),
        }
    }
}

impl MessageBody for Answer {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        match &self.body {
            Body::Whole(bytes) => bytes.size(),
            Body::Growing(body) => body.size(),
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.body {
            Body::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready(Some(Ok(piece)))
            }
            Body::Growing(body) => Pin::new(body).poll_next(context),
        }
    }
}
