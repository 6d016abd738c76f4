//! Bounds what the connections to the local API take: how many there are, and how much of answers is kept for those that
//! do not read them. Where there are too many, the one that has got on with nothing for longest makes room: whoever only holds
//! connections keeps nobody out who has a question.

mod answer;
mod stream;
mod turns;

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{dev::Extensions, rt::net::TcpStream};
use futures_util::task::AtomicWaker;
use rustix::net::{Shutdown, shutdown};
use tokio::sync::Notify;

pub(super) use self::answer::keep_open;
pub use self::{stream::Watched, turns::Turns};

/// How many bytes of answers are kept at once before those make room who do not read theirs.
const MOST_HELD: usize = 2 * 1024 * 1024;
/// Beyond this, longer answers are refused: whoever was to make room has not gone yet.
const MOST_HELD_EVER: usize = 2 * MOST_HELD;

/// The connections of one server. All clones are the same.
#[derive(Clone)]
pub struct Connections {
    most: usize,
    open: Arc<Open>,
}

#[derive(Default)]
struct Open {
    /// In the order in which they came.
    connections: Mutex<BTreeMap<u64, Peer>>,
    /// Counts what happens, so that what happened longest ago can be told.
    moments: AtomicU64,
    /// Bytes of answers that are kept.
    held: AtomicUsize,
    /// Told when the last connection has gone.
    emptied: Notify,
}

struct Peer {
    /// Another handle on the connection, by which it can be ended from outside.
    socket: OwnedFd,
    life: Arc<Life>,
}

impl Peer {
    fn end(&self) {
        end(&self.socket);
        self.life.is_ended.store(true, Ordering::Relaxed);
        // Whatever it was told that waits for its turn is waited for no more.
        self.life.reader.wake();
    }
}

/// What goes on at a connection.
#[derive(Default)]
struct Life {
    /// When it began, and later when some of a body came from the other side, or some of an answer was taken by it.
    last: AtomicU64,
    /// Whether it was looked at since it began.
    is_known: AtomicBool,
    /// Whether something came from the other side since it was last sent something.
    is_heard: AtomicBool,
    /// Requests whose heads have come in, and whose answers are not complete yet.
    requests: AtomicUsize,
    /// Requests that have come in to their end, and whose answers are not complete yet.
    under_way: AtomicUsize,
    /// Whether the other side takes nothing of what it is sent.
    is_stuck: AtomicBool,
    /// Whether the request has a body, of which nothing was handed over yet.
    begins_body: AtomicBool,
    /// Whether the body of the request is not complete, and whoever reads it has nothing left to read.
    wants_more: AtomicBool,
    /// Whether it has made room.
    is_ended: AtomicBool,
    /// Bytes of answers that are kept for it.
    held: AtomicUsize,
    /// To be woken when more of what has come may be handed over.
    reader: AtomicWaker,
}

impl Life {
    /// Whether the other side waits for us, and not we for it.
    fn is_awaiting_us(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0 && !self.is_stuck.load(Ordering::Relaxed)
    }

    /// Whether it is the turn of what came next: there is no request before it, or it is the body of that one.
    fn may_hear_more(&self) -> bool {
        let is_awaited = self.requests.load(Ordering::Relaxed) == 0
            || self.wants_more.load(Ordering::Relaxed)
            || self.begins_body.load(Ordering::Relaxed);
        is_awaited && !self.is_stuck.load(Ordering::Relaxed)
    }

    /// Who was not looked at yet may have a quick question.
    fn may_make_room(&self) -> bool {
        self.is_known.load(Ordering::Relaxed) && !self.is_awaiting_us()
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

/// What a connection knows of itself.
#[derive(Clone)]
struct Connection {
    life: Arc<Life>,
    open: Arc<Open>,
}

impl Connection {
    /// Notes that the other side gets on with something.
    fn touch(&self) {
        self.life.last.store(self.open.moment(), Ordering::Relaxed);
    }

    /// Notes that something came from the other side. A head that comes by and by is nothing to get on with.
    fn heard(&self) {
        self.life.is_heard.store(true, Ordering::Relaxed);
        if self.life.requests.load(Ordering::Relaxed) > 0 {
            self.touch();
        }
    }
}

impl Connections {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts a connection that has just been made, for as long as what is returned lives.
    pub fn admit(&self, stream: TcpStream) -> Watched {
        // Answers go out in pieces, and none of them waits for the other side to have taken the one before. Where this fails, it
        // is only slower.
        let _ = stream.set_nodelay(true);
        let life = Arc::<Life>::default();
        let connection = Connection {
            life: Arc::clone(&life),
            open: Arc::clone(&self.open),
        };
        connection.touch();
        let mut connections = self.open.connections();
        if connections.len() >= self.most {
            make_room(&mut connections);
        }
        let serial = self.open.moment();
        match stream.as_fd().try_clone_to_owned() {
            Ok(socket) => drop(connections.insert(serial, Peer { socket, life })),
            // Without another handle it could not be ended later, so it is now.
            Err(_) => end(&stream),
        }
        drop(connections);
        Watched::new(stream, connection, serial)
    }

    /// How many there may be at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits until nobody has been connected for so long.
    pub async fn deserted(&self, lasting: Duration) {
        loop {
            let Some(last) = self.last_of_none() else {
                self.open.emptied.notified().await;
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

    /// What happened last, where there is no connection now.
    fn last_of_none(&self) -> Option<u64> {
        let connections = self.open.connections();
        let is_empty = connections.is_empty();
        is_empty.then(|| self.open.moments.load(Ordering::Relaxed))
    }

    /// Lets a connection ask one thing after the other; `inner` is what [`Connections::admit`] made of it.
    pub fn in_turns<S>(stream: S, inner: impl FnOnce(&S) -> &Watched) -> Turns<S> {
        let connection = inner(&stream).connection().clone();
        Turns::new(stream, connection)
    }

    /// Lets whoever answers a request of a connection know about it.
    pub fn introduce<S>(stream: &Turns<S>, data: &mut Extensions) {
        data.insert(stream.connection().clone());
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.open.connections().len()
    }
}

impl Open {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Peer>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    fn leave(&self, serial: u64) {
        let mut connections = self.connections();
        connections.remove(&serial);
        if connections.is_empty() {
            self.emptied.notify_one();
        }
    }

    /// Ends those that take nothing of what is kept for them, the longest first, until there is room for others.
    fn make_room_for_answers(&self) {
        let mut connections = self.connections();
        let mut held = self.held.load(Ordering::Relaxed);
        while held > MOST_HELD {
            let stuck = connections.iter().filter(|(_, peer)| {
                peer.life.is_stuck.load(Ordering::Relaxed)
                    && peer.life.held.load(Ordering::Relaxed) > 0
            });
            let Some((&serial, _)) = stuck.min_by_key(|(_, peer)| peer.life.last()) else {
                return;
            };
            if let Some(peer) = connections.remove(&serial) {
                peer.end();
                held = held.saturating_sub(peer.life.held.load(Ordering::Relaxed));
            }
        }
    }
}

/// Ends the connection that has got on with nothing for longest; one that waits for us only where there is no other. Whoever
/// comes in a crowd makes room before those who do not do as it does: who has said nothing yet is not ended for the sake of
/// many who never come to an end, nor the other way round.
fn make_room(connections: &mut BTreeMap<u64, Peer>) {
    let of_those = |is_heard: bool| {
        let others = connections.values().filter(move |peer| {
            peer.life.may_make_room() && peer.life.is_heard.load(Ordering::Relaxed) == is_heard
        });
        others.count()
    };
    let crowd = of_those(true).cmp(&of_those(false));
    let is_of_crowd = |life: &Life| match crowd {
        std::cmp::Ordering::Equal => true,
        more => life.is_heard.load(Ordering::Relaxed) == more.is_gt(),
    };
    let stalest = connections.iter().min_by_key(|(_, peer)| {
        let (life, last) = (&peer.life, peer.life.last());
        (!life.may_make_room(), !is_of_crowd(life), last)
    });
    let serial = stalest.map(|(&serial, _)| serial);
    if let Some(peer) = serial.and_then(|serial| connections.remove(&serial)) {
        peer.end();
    }
}

/// The other side has gone already where this fails.
fn end(socket: impl AsFd) {
    let _ = shutdown(socket, Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use actix_web::rt::{net::TcpListener, time::timeout};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Both ends of a connection.
    async fn connected(connections: &Connections) -> (TcpStream, Watched) {
        let (outside, mut inside) = fresh(connections).await;
        let read = timeout(Duration::from_millis(1), inside.read_u8()).await;
        assert!(read.is_err(), "nothing has come");
        (outside, inside)
    }

    /// As [`connected`], not looked at yet.
    async fn fresh(connections: &Connections) -> (TcpStream, Watched) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (outside, inside) = tokio::join!(TcpStream::connect(address), listener.accept());
        (outside.unwrap(), connections.admit(inside.unwrap().0))
    }

    async fn is_ended(outside: &mut TcpStream) -> bool {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(50), outside.read(&mut byte));
        matches!(read.await, Ok(Ok(0)))
    }

    fn asks(stream: &Watched) -> impl Drop + use<> {
        let asking = answer::UnderWay::of(Some(stream.connection()));
        asking.begin();
        asking
    }

    #[actix_web::test]
    async fn whoever_asks_for_nothing_makes_room() {
        let connections = Connections::new(2);
        let (mut busy, busy_inside) = connected(&connections).await;
        let asking = asks(&busy_inside);
        let (mut idle, idle_inside) = connected(&connections).await;
        let (mut fresh, fresh_inside) = connected(&connections).await;
        assert!(is_ended(&mut idle).await);
        assert!(!is_ended(&mut busy).await && !is_ended(&mut fresh).await);
        assert_eq!(connections.count(), 2);
        // What was ended counts no more, and its end changes nothing.
        drop(idle_inside);
        assert_eq!(connections.count(), 2);

        let also_asking = asks(&fresh_inside);
        let (mut late, late_inside) = connected(&connections).await;
        assert!(is_ended(&mut busy).await, "it has waited for longest");
        assert!(!is_ended(&mut late).await && !is_ended(&mut fresh).await);
        drop((asking, busy_inside, also_asking));
        drop((fresh_inside, late_inside));
        assert_eq!(connections.count(), 0);
    }

    #[actix_web::test]
    async fn whoever_gets_on_with_a_body_is_not_the_first_to_go() {
        for gets_on in [false, true] {
            let connections = Connections::new(2);
            let (mut first, mut first_inside) = connected(&connections).await;
            let (mut second, _second_inside) = connected(&connections).await;
            let _head_is_in =
                gets_on.then(|| answer::UnderWay::of(Some(first_inside.connection())));
            first.write_all(b"1").await.unwrap();
            first_inside.read_u8().await.unwrap();
            let (_third, _third_inside) = connected(&connections).await;
            assert_eq!(is_ended(&mut second).await, gets_on);
            assert_eq!(is_ended(&mut first).await, !gets_on);
        }
    }

    #[actix_web::test]
    async fn whoever_does_as_few_others_is_not_the_first_to_go() {
        for says_something in [false, true] {
            let connections = Connections::new(3);
            let mut kept = Vec::new();
            for is_crowd in [false, true, true] {
                let (mut outside, mut inside) = connected(&connections).await;
                if is_crowd != says_something {
                    outside.write_all(b"GET").await.unwrap();
                    inside.read_u8().await.unwrap();
                }
                kept.push((outside, inside));
            }
            let (_late, _late_inside) = fresh(&connections).await;
            assert!(!is_ended(&mut kept[0].0).await, "it came first, alone");
            assert!(is_ended(&mut kept[1].0).await);
            assert!(!is_ended(&mut kept[2].0).await);
        }
    }

    #[actix_web::test]
    async fn whoever_was_not_looked_at_yet_is_not_the_first_to_go() {
        let connections = Connections::new(2);
        let (mut unknown, _unknown_inside) = fresh(&connections).await;
        let (mut idle, _idle_inside) = connected(&connections).await;
        let (_third, _third_inside) = connected(&connections).await;
        assert!(is_ended(&mut idle).await && !is_ended(&mut unknown).await);
    }

    #[actix_web::test]
    async fn whoever_takes_nothing_makes_room_for_other_answers() {
        let connections = Connections::new(8);
        let (mut reading, reading_inside) = connected(&connections).await;
        let (mut deaf, mut deaf_inside) = connected(&connections).await;
        let held = |stream: &Watched| answer::Held::of(stream.connection(), MOST_HELD / 2 + 1);
        let _kept = held(&deaf_inside).expect("there is room");
        let much = vec![0; 64 << 20];
        let writing = timeout(Duration::from_millis(200), deaf_inside.write_all(&much));
        assert!(writing.await.is_err(), "nobody reads it");
        assert!(!is_ended(&mut reading).await);
        let also_kept = held(&reading_inside);
        assert!(also_kept.is_some() && !is_ended(&mut reading).await);
        assert_eq!(connections.count(), 1);
        let mut rest = Vec::new();
        let _ = deaf.read_to_end(&mut rest).await;
        assert!(rest.len() < much.len());
        // Nobody else is left to make room.
        let (_more, more_inside) = connected(&connections).await;
        let more: Vec<_> = (0..4).map(|_| held(&more_inside)).collect();
        assert!(more[0].is_some() && more[3].is_none());
    }
}
