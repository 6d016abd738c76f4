//! Settings from the outside: layers and their order, origins, every kind of refusal, and what must stay secret.
//! A test binary of its own, because the program under test is run with environments of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a failed helper is a failed test, and clippy excuses only the test functions themselves"
)]

#[path = "settings/client_tls.rs"]
mod client_tls;
#[path = "settings/database.rs"]
mod database;
#[path = "settings/layers.rs"]
mod layers;
#[path = "settings/local_api.rs"]
mod local_api;
#[path = "settings/program.rs"]
mod program;
#[path = "settings/proxy.rs"]
mod proxy;
#[path = "settings/refusals.rs"]
mod refusals;
#[path = "settings/secrets.rs"]
mod secrets;
#[path = "settings/site.rs"]
mod site;
