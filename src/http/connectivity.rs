//! `/api/v1/connectivity`: the one truth about reachability.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query,
    routing::{Api, INVALID, described},
};
use crate::{control::Control, domain::connectivity::ConnectivityStatus};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
    api.resource([described::<__path_check>(web::to(check)).refuses([INVALID])]);
}

/// Whether the Client System can be reached
#[utoipa::path(
    get,
    path = "/api/v1/connectivity",
    operation_id = "get_connectivity",
    tag = "client-system",
    responses((status = 200, description = "What is known about the link", body = ConnectivityStatus)),
)]
async fn show(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status().connectivity)
}

/// Check now whether the Client System can be reached
///
/// That it cannot is an answer, too. Any answer of the Client System counts as reached; `trouble` tells where that was one
/// that it would not give in order. 503 while all calls are held at the Client System's wish.
#[utoipa::path(
    post,
    path = "/api/v1/connectivity/check",
    operation_id = "check_connectivity",
    tag = "client-system",
    responses((status = 200, description = "What the check showed", body = ConnectivityStatus)),
)]
async fn check(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.check_connectivity().await?))
}
