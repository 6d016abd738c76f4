//! `/api/v1/heartbeat`: a sign of life to the Client System, now.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query,
    routing::{Api, CALL_FAILED, INVALID, described},
};
use crate::{control::Control, domain::status::HeartbeatStatus};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_send>(web::to(send))
        .refuses([INVALID])
        .refuses(CALL_FAILED)]);
}

/// Send a heartbeat now
#[utoipa::path(
    post,
    path = "/api/v1/heartbeat",
    operation_id = "send_heartbeat",
    tag = "client-system",
    responses((status = 200, description = "The Client System took it", body = HeartbeatStatus)),
)]
async fn send(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.send_heartbeat().await?))
}
