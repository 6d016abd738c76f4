//! The other side, for demonstrations and tests: a Client System and meters, both simulated. They share no
//! code with the service and talk to it only over the network and the database, as their models do.

pub mod client_system;
pub mod fault_proxy;
pub mod fleet;
pub mod live_view;
pub mod meters;
mod reserved_port;
