//! What the service does about every answer that the Client System can give to an upload, or fail to give.

mod ambiguous;
mod bad_batches;
mod codings;
mod identity;
mod pacing;
mod pauses;
mod refusals;
mod rejections;
mod server_fault;
mod side_by_side;
mod success;
mod unreachable;
mod unsettled;
