//! `/api/v1/meters`: the meters that the Sync Database knows.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query::{Query, WindowParameters},
    routing::{Api, INVALID, described},
};
use crate::{
    control::Control,
    domain::{meter::Meter, store::Page},
};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_list>(web::to(list)).refuses([INVALID])]);
}

/// The meters, by name
#[utoipa::path(
    get,
    path = "/api/v1/meters",
    operation_id = "list_meters",
    tag = "readings",
    params(WindowParameters),
    responses((status = 200, description = "A page of the meters", body = Page<Meter>)),
)]
async fn list(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let window = query.window()?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.meters(window).await?))
}
