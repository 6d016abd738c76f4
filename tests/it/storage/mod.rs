//! The Sync Database: what every engine has to do, and what only concerns one of them.

#[macro_use]
mod conformance;
mod import;
mod model;
mod postgres;
mod postgres_server;
mod read_directly;
mod settled_at_once;
pub mod site;
mod sqlite;
mod sqlite_adoption;
mod sqlite_plans;
