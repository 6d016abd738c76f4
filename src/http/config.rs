//! `/api/v1/config`: the configuration that the Client System keeps for this site.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query,
    routing::{Api, CALL_FAILED, INVALID, described},
};
use crate::{control::Control, domain::meter::MeterChanges};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_download>(web::to(download))
        .refuses([INVALID])
        .refuses(CALL_FAILED)]);
}

/// Download the configuration now
///
/// Where that fails, the last good configuration stays in force.
#[utoipa::path(
    post,
    path = "/api/v1/config/download",
    operation_id = "download_config",
    tag = "client-system",
    responses((status = 200, description = "What it changed in the Sync Database", body = MeterChanges)),
)]
async fn download(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.download_config().await?))
}
