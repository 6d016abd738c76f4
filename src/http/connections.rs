//! Bounds the connections to the local API. Where too many are open, the one that has asked for nothing for longest makes
//! room: whoever only holds connections keeps nobody out who has a question.

use std::{
    any::Any,
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::net::TcpStream,
    web::Bytes,
};
use rustix::net::{Shutdown, shutdown};
use tokio::sync::Notify;

/// The connections of one server.
#[derive(Clone)]
pub struct Connections {
    most: usize,
    open: Arc<Mutex<Open>>,
    /// Told when the last connection has gone.
    emptied: Arc<Notify>,
}

#[derive(Default)]
struct Open {
    /// In the order in which they came.
    connections: BTreeMap<u64, Peer>,
    last: u64,
}

struct Peer {
    /// Another handle on the connection, by which it can be ended from outside.
    socket: OwnedFd,
    under_way: Arc<AtomicUsize>,
}

/// What a connection knows of itself; it counts for as long as this lives.
struct Connection {
    serial: u64,
    /// Requests whose answers are not complete yet.
    under_way: Arc<AtomicUsize>,
    open: Arc<Mutex<Open>>,
    emptied: Arc<Notify>,
}

impl Connections {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
            emptied: Arc::default(),
        }
    }

    /// Counts a connection that has just been made.
    pub fn note(&self, stream: &dyn Any, data: &mut Extensions) {
        let within_tls = || Some(stream.downcast_ref::<TlsStream<TcpStream>>()?.get_ref().0);
        let Some(stream) = stream.downcast_ref::<TcpStream>().or_else(within_tls) else {
            return;
        };
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
            // Without another handle it cannot be ended later, so it is now.
            end(stream);
            return;
        };
        let under_way = Arc::default();
        let mut open = lock(&self.open);
        if open.connections.len() >= self.most && !open.make_room() {
            drop(open);
            end(stream);
            return;
        }
        open.last += 1;
        let serial = open.last;
        let peer = Peer {
            socket,
            under_way: Arc::clone(&under_way),
        };
        open.connections.insert(serial, peer);
        data.insert(Connection {
            serial,
            under_way,
            open: Arc::clone(&self.open),
            emptied: Arc::clone(&self.emptied),
        });
    }

    /// Waits until nobody has been connected for so long.
    pub async fn deserted(&self, lasting: Duration) {
        loop {
            let Some(last) = self.last_of_none() else {
                self.emptied.notified().await;
                continue;
            };
            tokio::time::sleep(lasting).await;
            if self.last_of_none() == Some(last) {
                return;
            }
        }
    }

    /// Whether nobody is connected.
    pub fn are_none(&self) -> bool {
        self.last_of_none().is_some()
    }

    /// The last connection that there was, where there is none now.
    fn last_of_none(&self) -> Option<u64> {
        let open = lock(&self.open);
        open.connections.is_empty().then_some(open.last)
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        lock(&self.open).connections.len()
    }
}

impl Open {
    /// Ends the oldest connection on which no request is under way; whether there was one.
    fn make_room(&mut self) -> bool {
        let is_idle = |peer: &Peer| peer.under_way.load(Ordering::Relaxed) == 0;
        let oldest = self.connections.iter().find(|(_, peer)| is_idle(peer));
        let Some((&serial, peer)) = oldest else {
            return false;
        };
        end(&peer.socket);
        self.connections.remove(&serial);
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.connections.remove(&self.serial);
        if open.connections.is_empty() {
            self.emptied.notify_one();
        }
    }
}

/// The other side has gone already where this fails.
fn end(socket: impl AsFd) {
    let _ = shutdown(socket, Shutdown::Both);
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One more request, for as long as this lives.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the connection of a request from making room for others until its answer has begun.
pub(super) async fn keep_open(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let connection = request.conn_data::<Connection>();
    let under_way = connection.map(|connection| UnderWay::new(&connection.under_way));
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Guarded {
        body: body.boxed(),
        under_way,
    }))
}

/// The body of an answer, and the mark that it is under way.
struct Guarded {
    body: BoxBody,
    under_way: Option<UnderWay>,
}

impl MessageBody for Guarded {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, under_way } = self;
        body.try_into_bytes()
            .map_err(|body| Self { body, under_way })
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use actix_web::rt::{net::TcpListener, time::timeout};
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Both ends of a connection, and what the server's end knows of itself.
    async fn connected(connections: &Connections) -> (TcpStream, TcpStream, Extensions) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (outside, inside) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (outside, (inside, _)) = (outside.unwrap(), inside.unwrap());
        let mut data = Extensions::new();
        connections.note(&inside, &mut data);
        (outside, inside, data)
    }

    async fn is_ended(outside: &mut TcpStream) -> bool {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(50), outside.read(&mut byte));
        matches!(read.await, Ok(Ok(0)))
    }

    #[actix_web::test]
    async fn whoever_asks_for_nothing_makes_room() {
        let connections = Connections::new(2);
        let (mut busy, _busy, data) = connected(&connections).await;
        let asking = UnderWay::new(&data.get::<Connection>().unwrap().under_way);
        let (mut idle, _idle, idle_data) = connected(&connections).await;
        let (mut fresh, _fresh, fresh_data) = connected(&connections).await;
        assert!(is_ended(&mut idle).await);
        assert!(!is_ended(&mut busy).await && !is_ended(&mut fresh).await);
        assert_eq!(connections.count(), 2);
        // What was ended counts no more, and its end changes nothing.
        drop(idle_data);
        assert_eq!(connections.count(), 2);

        let also_asking = UnderWay::new(&fresh_data.get::<Connection>().unwrap().under_way);
        let (mut late, _late, late_data) = connected(&connections).await;
        assert!(is_ended(&mut late).await, "all others are asking");
        assert!(late_data.get::<Connection>().is_none());
        drop((asking, also_asking));
        let (mut later, _later, _later_data) = connected(&connections).await;
        assert!(is_ended(&mut busy).await && !is_ended(&mut later).await);
        drop((data, fresh_data));
        assert_eq!(connections.count(), 1);
    }
}
