//! Uploads meter readings to the Client System.

pub mod clock;
pub mod demo;
