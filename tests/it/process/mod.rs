//! The built program as a process of its own: what an operator starts, kills and asks over HTTP.

mod crashes;
mod demonstration;
mod durability;
mod endings;
mod http;
mod importing;
mod instances;
mod late_database;
mod main_job;
mod migrating;
mod neighbours;
mod postgres_adoption;
mod postgres_faults;
mod postgres_site;
mod quarantine;
mod readme;
mod secrets;
mod service;
mod settings;
mod simulation;
mod site;
mod soak;
mod systemd;
mod waiting;
