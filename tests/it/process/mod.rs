//! The built program as a process of its own: what an operator starts, kills and asks over HTTP.

mod abuse;
mod assistants;
mod commands;
mod crashes;
mod damage;
mod damaged_log;
mod dashboard;
mod demonstration;
mod description;
mod diagnose;
mod disk_faults;
mod durability;
mod endings;
mod frontend;
mod http;
mod importing;
mod instances;
mod late_database;
mod local_access;
mod main_job;
mod migrating;
mod neighbours;
mod observation;
mod package;
mod postgres_adoption;
mod postgres_claims;
mod postgres_faults;
mod postgres_site;
mod proxy;
mod quarantine;
mod readme;
mod replaced;
mod reused_ids;
mod secrets;
mod service;
mod settings;
mod simulation;
mod site;
mod small_disk;
mod soak;
mod systemd;
mod tls;
mod traces;
mod turns;
mod waiting;

pub use self::site::Site;

/// The most memory that a process ever had, in KiB.
pub fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    peak.expect("the kernel tells")
}
