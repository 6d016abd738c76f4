//! `/api/v1/meters`: the meters that the Sync Database knows.

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{self, Data, ServiceConfig},
};

use super::{problem::Problem, query::Query, routing::resource};
use crate::control::Control;

pub(super) fn routes(service: &mut ServiceConfig) {
    resource(service, "/api/v1/meters", [(Method::GET, web::to(list))]);
}

async fn list(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let window = query.window()?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.meters(window).await?))
}
