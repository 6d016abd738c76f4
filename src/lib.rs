//! Uploads meter readings to the Client System.

pub mod clock;
pub mod domain;
pub mod storage;
pub mod supervision;
pub mod upstream;
