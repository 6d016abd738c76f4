//! Bounds what the connections to the local API take: how many there are, and how much of answers is kept for those that
//! do not read them. Where there are too many, the one that has got on with nothing for longest makes room: whoever only holds
//! connections keeps nobody out who has a question. Where all wait for answers that may still be quick, who comes then is told so.

mod answer;
mod life;
mod room;
mod stream;
mod turns;

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{dev::Extensions, rt::net::TcpStream};
use rustix::net::{Shutdown, shutdown, sockopt};
use tokio::sync::Notify;

pub(super) use self::answer::keep_open;
use self::{life::Life, room::make_room};
pub use self::{stream::Watched, turns::Turns};
use crate::clock::Clock;

/// How many bytes of answers are kept at once before those make room who do not read theirs.
const MOST_HELD: usize = 2 * 1024 * 1024;
/// Beyond this, longer answers are refused: whoever was to make room has not gone yet.
const MOST_HELD_EVER: usize = 2 * MOST_HELD;
/// How long the other side may say nothing before it is asked whether it is there, where it has said that it says no more.
const SILENCE: Duration = Duration::from_secs(5);

/// The connections of one server. All clones are the same.
#[derive(Clone)]
pub struct Connections {
    open: Arc<Open>,
}

struct Open {
    /// How many there may be at once.
    most: usize,
    clock: Clock,
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
    socket: Arc<OwnedFd>,
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

/// What a connection knows of itself.
#[derive(Clone)]
struct Connection {
    life: Arc<Life>,
    open: Arc<Open>,
    socket: Weak<OwnedFd>,
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

    /// Whether there was no room for it when it came, and there is none yet.
    fn is_one_too_many(&self) -> bool {
        let life = &self.life;
        if life.is_one_too_many.load(Ordering::Relaxed) {
            let has_room = self.let_others_have_room();
            life.is_one_too_many.store(!has_room, Ordering::Relaxed);
        }
        life.is_one_too_many.load(Ordering::Relaxed)
    }

    /// Makes room where there are more than the most, at the cost of others than this one; whether there is room then. Whoever
    /// waits to come in would not be let in before, and so could not have it made.
    fn let_others_have_room(&self) -> bool {
        let open = &self.open;
        make_room(&mut open.connections(), open.most, open.now(), &self.life)
    }

    /// Has the other side asked now and then whether it is there, once it says nothing more: that it has gone would not be
    /// noticed before it is answered.
    fn ask_whether_it_is_there(&self) {
        if let Some(socket) = self.socket.upgrade() {
            // Where this fails, its end is noticed later.
            let _ = sockopt::set_socket_keepalive(&socket, true)
                .and_then(|()| sockopt::set_tcp_keepidle(&socket, SILENCE))
                .and_then(|()| sockopt::set_tcp_keepintvl(&socket, SILENCE));
        }
    }

    /// Whether the other side is known to have gone altogether.
    fn is_broken(&self) -> bool {
        let socket = self.socket.upgrade();
        socket.is_some_and(|socket| !matches!(sockopt::socket_error(socket), Ok(Ok(()))))
    }
}

impl Connections {
    /// At most so many at once.
    pub fn new(most: usize) -> Self {
        Self::by(Clock::system(), most)
    }

    fn by(clock: Clock, most: usize) -> Self {
        let open = Open {
            most,
            clock,
            connections: Mutex::default(),
            moments: AtomicU64::default(),
            held: AtomicUsize::default(),
            emptied: Notify::default(),
        };
        Self {
            open: Arc::new(open),
        }
    }

    /// Counts a connection that has just been made, for as long as what is returned lives.
    pub fn admit(&self, stream: TcpStream) -> Watched {
        // Answers go out in pieces, and none of them waits for the other side to have taken the one before. Where this fails, it
        // is only slower.
        let _ = stream.set_nodelay(true);
        let life = Arc::<Life>::default();
        let socket = stream.as_fd().try_clone_to_owned().map(Arc::new);
        let connection = Connection {
            life: Arc::clone(&life),
            open: Arc::clone(&self.open),
            socket: socket.as_ref().map_or_else(|_| Weak::new(), Arc::downgrade),
        };
        connection.touch();
        let mut connections = self.open.connections();
        let has_room = make_room(
            &mut connections,
            self.open.most.saturating_sub(1),
            self.open.now(),
            &life,
        );
        life.is_one_too_many.store(!has_room, Ordering::Relaxed);
        let serial = self.open.moment();
        match socket {
            Ok(socket) => drop(connections.insert(serial, Peer { socket, life })),
            // Without another handle it could not be ended later, so it is now.
            Err(_) => end(&stream),
        }
        drop(connections);
        Watched::new(stream, connection, serial)
    }

    /// How many there may be at once.
    pub fn most(&self) -> usize {
        self.open.most
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

    /// By the clock, in milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
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

/// The other side has gone already where this fails.
fn end(socket: impl AsFd) {
    let _ = shutdown(socket, Shutdown::Both);
}
