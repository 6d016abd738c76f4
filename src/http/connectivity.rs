//! `/api/v1/connectivity`: the one truth about reachability.

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{self, Data, ServiceConfig},
};

use super::{problem::Problem, query, routing::resource};
use crate::control::Control;

pub(super) fn routes(service: &mut ServiceConfig) {
    resource(
        service,
        "/api/v1/connectivity",
        [(Method::GET, web::to(show))],
    );
    resource(
        service,
        "/api/v1/connectivity/check",
        [(Method::POST, web::to(check))],
    );
}

async fn show(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status().connectivity)
}

async fn check(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.check_connectivity().await?))
}
