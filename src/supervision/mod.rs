//! Keeps actors alive: restarts what fails, with fresh state, backoff and an intensity limit. Knows no
//! concrete actor.

pub mod ask;

pub mod board;
pub mod failure_points;
pub mod intensity;
pub mod progress;
pub mod published;
pub mod pulse;
pub mod supervisor;
