//! `/api/v1/heartbeat`: a sign of life to the Client System, now.

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
        "/api/v1/heartbeat",
        [(Method::POST, web::to(send))],
    );
}

async fn send(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.send_heartbeat().await?))
}
