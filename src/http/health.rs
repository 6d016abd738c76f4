//! `/health`: whether the service lives, and whether it can do its work.

use actix_web::{
    HttpResponse,
    http::Method,
    web::{self, Data, ServiceConfig},
};
use serde_json::json;

use super::{problem::Problem, routing::resource};
use crate::{
    control::{Control, Health},
    domain::timestamp::Timestamp,
};

pub(super) fn routes(service: &mut ServiceConfig) {
    resource(service, "/health", [(Method::GET, web::to(answer))]);
    resource(service, "/health/live", [(Method::GET, web::to(live))]);
    resource(service, "/health/ready", [(Method::GET, web::to(ready))]);
}

/// That there is an answer is all that is asked here.
async fn answer(control: Data<Control>) -> HttpResponse {
    let timestamp = Timestamp(control.clock().now());
    HttpResponse::Ok().json(json!({ "status": "ok", "timestamp": timestamp }))
}

async fn live(control: Data<Control>) -> Result<HttpResponse, Problem> {
    match control.liveness() {
        Health::Fine => Ok(HttpResponse::Ok().json(json!({ "status": "alive" }))),
        Health::Troubled(troubles) => Err(Problem::unhealthy(
            "not-alive",
            "The service has to be restarted",
            &troubles,
        )),
    }
}

async fn ready(control: Data<Control>) -> Result<HttpResponse, Problem> {
    match control.readiness() {
        Health::Fine => Ok(HttpResponse::Ok().json(json!({ "status": "ready" }))),
        Health::Troubled(troubles) => Err(Problem::unhealthy(
            "not-ready",
            "The service cannot do its work at the moment",
            &troubles,
        )),
    }
}
