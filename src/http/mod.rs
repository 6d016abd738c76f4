//! The local API, one file per resource. Thin over the control: no rules here, only their words on the wire.

mod access;
mod config;
pub mod connections;
mod connectivity;
mod dashboard;
mod description;
mod events;
mod heads;
mod health;
mod heartbeat;
mod history;
pub mod limits;
mod local;
mod login;
mod meters;
mod metrics;
mod openapi;
mod problem;
mod quarantine;
mod query;
mod readings;
mod routing;
mod settings;
mod span;
mod status;
mod sync;

#[cfg(test)]
mod tests;

use actix_web::{
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

pub use self::access::{Access, Rules, TokenChange, Tokens};
use self::routing::Api;
pub use self::span::RequestSpan;
use crate::{control::Control, telemetry::metrics::Metrics};

/// All routes, who may call them, their limits and their answers to whatever is no route; `more` adds routes that another room serves.
/// Wants nothing more of the `App` than a `TracingLogger` that makes [`RequestSpan`]s, so that the request's span reaches the actors.
pub fn configure(
    control: Control,
    metrics: Metrics,
    access: Access,
    more: impl FnOnce(&mut ServiceConfig),
) -> impl FnOnce(&mut ServiceConfig) {
    move |service| {
        let everything = web::scope("")
            .wrap(from_fn(access::admit))
            .wrap(access::cors(&access))
            .wrap(from_fn(access::guard))
            .wrap(from_fn(limits::keep))
            .wrap(from_fn(connections::keep_open))
            .wrap(from_fn(heads::answer_as_get))
            .configure(|service| api().serve(service))
            .configure(local::rest)
            .configure(openapi::page)
            .configure(more)
            .default_service(web::to(routing::no_such_route));
        service
            .app_data(Data::new(control))
            .app_data(Data::new(metrics))
            .app_data(Data::new(access.clone()))
            .service(everything);
    }
}

fn api() -> Api {
    let mut api = Api::default();
    dashboard::routes(&mut api);
    login::routes(&mut api);
    status::routes(&mut api);
    health::routes(&mut api);
    metrics::routes(&mut api);
    history::routes(&mut api);
    sync::routes(&mut api);
    connectivity::routes(&mut api);
    config::routes(&mut api);
    heartbeat::routes(&mut api);
    meters::routes(&mut api);
    readings::routes(&mut api);
    quarantine::routes(&mut api);
    events::routes(&mut api);
    settings::routes(&mut api);
    local::routes(&mut api);
    openapi::routes(&mut api);
    api
}
