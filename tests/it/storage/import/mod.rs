//! Moving a queue from SQLite into PostgreSQL: whatever happens on the way, every row is in one of them at the end.

mod accounts;
mod interruptions;
mod queue;
mod refusals;
