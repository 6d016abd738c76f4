//! `/health`: whether the service lives, and whether it can do its work.

use actix_web::{
    HttpResponse,
    web::{self, Data},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::Problem,
    routing::{Api, described},
};
use crate::{
    control::{Control, Health},
    domain::timestamp::Timestamp,
};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_answer>(web::to(answer))]);
    api.resource([described::<__path_live>(web::to(live))]);
    api.resource([described::<__path_ready>(web::to(ready))]);
}

/// That the service answers.
#[derive(Serialize, ToSchema)]
struct SignOfLife {
    /// `ok`.
    status: &'static str,
    /// The service's time.
    timestamp: Timestamp,
}

/// What a supervisor asked for.
#[derive(Serialize, ToSchema)]
struct Healthy {
    /// `alive` or `ready`.
    status: &'static str,
}

/// Whether the service answers
///
/// That there is an answer is all that is asked here.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "get_health",
    tag = "frontend",
    responses((status = 200, description = "It does", body = SignOfLife)),
)]
async fn answer(control: Data<Control>) -> HttpResponse {
    let timestamp = Timestamp(control.clock().now());
    HttpResponse::Ok().json(SignOfLife {
        status: "ok",
        timestamp,
    })
}

/// Whether the process is alive and all parts move
///
/// If not (503), only a restart of the process helps.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "get_liveness",
    tag = "status",
    responses((status = 200, description = "It is", body = Healthy)),
)]
async fn live(control: Data<Control>) -> Result<HttpResponse, Problem> {
    match control.liveness() {
        Health::Fine => Ok(HttpResponse::Ok().json(Healthy { status: "alive" })),
        Health::Troubled(troubles) => Err(Problem::unhealthy(
            "not-alive",
            "The service has to be restarted",
            &troubles,
        )),
    }
}

/// Whether the Sync Database and all parts can be used
///
/// Being offline is being ready: readings are kept.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "get_readiness",
    tag = "status",
    responses((status = 200, description = "They can", body = Healthy)),
)]
async fn ready(control: Data<Control>) -> Result<HttpResponse, Problem> {
    match control.readiness() {
        Health::Fine => Ok(HttpResponse::Ok().json(Healthy { status: "ready" })),
        Health::Troubled(troubles) => Err(Problem::unhealthy(
            "not-ready",
            "The service cannot do its work at the moment",
            &troubles,
        )),
    }
}
