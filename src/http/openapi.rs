//! `/openapi.json`: the description of all this, made from the code that serves it; `/docs` shows it to people.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    middleware::DefaultHeaders,
    web::{self, Data, ServiceConfig},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::routing::{Api, Document, described};

/// The page's scripts and styles are its own, and it asks nobody but this service; it draws its icons from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
    api.resource([described::<__path_docs>(web::to(docs))]);
}

/// What the page at `/docs/` consists of.
pub(super) fn page(service: &mut ServiceConfig) {
    let config = Config::from("/openapi.json")
        // Else it would ask a server elsewhere to judge the description.
        .validator_url("none")
        .display_operation_id(true);
    service.service(
        web::scope("/docs")
            .wrap(DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, POLICY)))
            .service(SwaggerUi::new("/{_:.*}").config(config)),
    );
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "pages",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
async fn show(document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(document.0.clone())
}

/// This description, for people
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "get_docs",
    tag = "pages",
    responses((status = 308, description = "To the page", headers(("Location", description = "`/docs/`")))),
)]
async fn docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((LOCATION, "/docs/"))
        .finish()
}
