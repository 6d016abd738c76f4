//! The Sync Database: what every engine has to do, and what only concerns SQLite.

#[macro_use]
mod conformance;
mod postgres_server;
mod site;
mod sqlite;
mod sqlite_adoption;
mod sqlite_plans;
