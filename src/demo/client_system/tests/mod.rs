//! The simulator over real sockets, seen through a client that hides nothing of what happens on the wire.

mod api;
mod faults;
mod outage;
mod peer;
