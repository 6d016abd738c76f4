//! `/status`: the whole truth.

use actix_web::{
    HttpResponse,
    web::{self, Data},
};

use super::routing::{Api, described};
use crate::{control::Control, domain::status::ServiceStatus};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
}

/// How the service fares
///
/// The whole truth, cheap enough to be asked for every second.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "get_status",
    tag = "status",
    responses((status = 200, description = "How the service fares", body = ServiceStatus)),
)]
async fn show(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status())
}
