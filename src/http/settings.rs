//! `/api/v1/settings`: the settings in force.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query,
    routing::{Api, INVALID, described},
};
use crate::{control::Control, domain::answer::EffectiveSettings};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show)).refuses([INVALID])]);
}

/// The settings in force
///
/// Each with the layer that had the last word. Secrets are replaced.
#[utoipa::path(
    get,
    path = "/api/v1/settings",
    operation_id = "get_settings",
    tag = "status",
    responses((status = 200, description = "The settings", body = EffectiveSettings)),
)]
async fn show(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.settings()))
}
