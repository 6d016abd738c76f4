//! The local API, one file per resource. Thin over the control: no rules here, only their words on the wire.

mod config;
mod connectivity;
mod dashboard;
mod events;
mod health;
mod heartbeat;
mod meters;
mod metrics;
mod problem;
mod quarantine;
mod query;
mod readings;
mod routing;
mod status;
mod sync;

#[cfg(test)]
mod tests;

use actix_web::web::{self, Data, ServiceConfig};

use crate::{control::Control, telemetry::metrics::Metrics};

/// All routes, their limits and their answers to whatever is no route; `more` adds routes that another room serves.
/// Wants nothing more of the `App` than a `TracingLogger`, so that the request's span reaches the actors.
pub fn configure(
    control: Control,
    metrics: Metrics,
    more: impl FnOnce(&mut ServiceConfig),
) -> impl FnOnce(&mut ServiceConfig) {
    move |service| {
        service
            .app_data(Data::new(control))
            .app_data(Data::new(metrics))
            .configure(dashboard::routes)
            .configure(status::routes)
            .configure(health::routes)
            .configure(metrics::routes)
            .configure(sync::routes)
            .configure(connectivity::routes)
            .configure(config::routes)
            .configure(meters::routes)
            .configure(heartbeat::routes)
            .configure(readings::routes)
            .configure(quarantine::routes)
            .configure(events::routes)
            .configure(more)
            .default_service(web::to(routing::no_such_route));
    }
}
