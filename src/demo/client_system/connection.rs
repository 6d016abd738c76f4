//! A second handle on a client's connection, below HTTP: to see that the peer has gone, and to break the
//! connection in ways that a well-behaved server cannot.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use socket2::SockRef;

/// One accepted connection. The handle is gone once the connection has been given up to be broken.
#[derive(Debug)]
pub(super) struct Connection(Mutex<Option<TcpStream>>);

impl Connection {
    /// A second handle on `socket`.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let handle = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        Ok(Self(Mutex::new(Some(handle))))
    }

    /// Whether the client has closed its side or is gone altogether.
    pub fn is_closed_by_peer(&self) -> bool {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = handle.as_ref() else {
            return true;
        };
        match handle.peek(&mut [0]) {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Makes the close that follows a reset (RST) instead of an orderly FIN.
    pub fn reset_on_close(&self) {
        if let Some(handle) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A socket that is gone already needs no reset.
            let _ = SockRef::from(&handle).set_linger(Some(Duration::ZERO));
        }
    }

    fn shut_down(&self) {
        if let Some(handle) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The client may have closed it first.
            let _ = handle.shutdown(Shutdown::Both);
        }
    }
}

/// All open connections, so that an outage can cut them.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Vec<Weak<Connection>>>);

impl Connections {
    /// Remembers a connection for as long as someone else holds it.
    pub fn add(&self, connection: &Arc<Connection>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|connection| connection.strong_count() > 0);
        }
        all.push(Arc::downgrade(connection));
    }

    /// Cuts every open connection.
    pub fn cut(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.iter()
            .filter_map(Weak::upgrade)
            .for_each(|connection| connection.shut_down());
    }
}
