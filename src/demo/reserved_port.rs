//! A port that can be given up and taken back.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
};

use socket2::{Domain, Socket, Type};

/// A port that stays ours: bound, though not listening, so that nobody takes it during an outage.
#[derive(Debug)]
pub(in crate::demo) struct ReservedPort {
    _reservation: Socket,
    address: SocketAddr,
}

impl ReservedPort {
    /// Reserves a port of the loopback address; 0 takes a free one.
    pub(in crate::demo) fn new(port: u16) -> io::Result<Self> {
        let reservation = bound_socket(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
        let address = reservation
            .local_addr()?
            .as_socket()
            .ok_or_else(|| io::Error::other("no IP address"))?;
        Ok(Self {
            _reservation: reservation,
            address,
        })
    }

    pub(in crate::demo) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Accepts connections from now on, until the listener is dropped.
    pub(in crate::demo) fn listen(&self) -> io::Result<TcpListener> {
        let socket = bound_socket(self.address)?;
        socket.listen(1024)?;
        Ok(socket.into())
    }
}

fn bound_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
