//! `/api/v1/config`: the configuration that the Client System keeps for this site.

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
        "/api/v1/config/download",
        [(Method::POST, web::to(download))],
    );
}

async fn download(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.download_config().await?))
}
