//! `/api/v1/history`: what the service looked like, minute by minute.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query::Query,
    routing::{Api, INVALID, described},
};
use crate::{
    control::Control,
    domain::history::{History, KEPT_MINUTES},
};

/// As long as samples are kept.
const MOST_HOURS: u32 = (KEPT_MINUTES / 60) as u32;

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show)).refuses([INVALID])]);
}

/// Queue, uploads and link over the last hours
///
/// A sample for every minute, or for every few in longer times; where one is missing the service did not run.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    operation_id = "get_history",
    tag = "status",
    params(("hours" = Option<u32>, Query, description = "So many hours back; 1 where absent", minimum = 1, maximum = 720)),
    responses((status = 200, description = "The samples, the oldest first", body = History)),
)]
async fn show(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let hours = query.number("hours", 1, &(1..=MOST_HOURS))?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.history(hours).await?))
}
