//! `/status`: the whole truth.

use actix_web::{
    HttpResponse,
    http::Method,
    web::{self, Data, ServiceConfig},
};

use super::routing::resource;
use crate::control::Control;

pub(super) fn routes(service: &mut ServiceConfig) {
    resource(service, "/status", [(Method::GET, web::to(show))]);
}

async fn show(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status())
}
