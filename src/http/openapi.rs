//! `/openapi.json`: the description of all this, made from the code that serves it; `/docs` shows it to people.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_SECURITY_POLICY, LOCATION},
    middleware::DefaultHeaders,
    web::{self, Data, ServiceConfig},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    description::Document,
    problem::{MEDIA_TYPE, Problem, ProblemDocument},
    routing::{Api, described},
};

/// The page's scripts and styles are its own, and it asks nobody but this service; it draws its icons from `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
    api.resource([described::<__path_docs>(web::to(docs))]);
    api.mention(described::<__path_docs_page>(web::to(elsewhere)));
    api.mention(described::<__path_mcp>(web::to(elsewhere)));
}

async fn other_methods(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::wrong_method(
        request.method().as_str(),
        "GET, HEAD",
    ))
}

/// What is only mentioned is served by others.
async fn elsewhere() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// The page that shows this description
#[utoipa::path(
    get,
    path = "/docs/",
    operation_id = "get_docs_page",
    tag = "pages",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
#[expect(dead_code, reason = "describes what the library serves")]
fn docs_page() {}

/// What assistants call (Model Context Protocol, streamable HTTP)
///
/// One message of JSON-RPC; `initialize` and `tools/list` tell the rest.
#[utoipa::path(
    post,
    path = "/mcp",
    operation_id = "speak_mcp",
    tag = "assistants",
    request_body = serde_json::Value,
    responses(
        (status = 200, description = "The answer; a stream where progress is told before it", content(
            (serde_json::Value = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 202, description = "A notification was taken"),
        (status = 400, description = "No message of the protocol, as JSON-RPC says it", body = serde_json::Value),
        (status = 406, description = "The answer's forms are not accepted", body = ProblemDocument, content_type = MEDIA_TYPE),
        (status = 413, description = "More than a message can hold", body = ProblemDocument, content_type = MEDIA_TYPE),
        (status = 415, description = "The message is not JSON", body = ProblemDocument, content_type = MEDIA_TYPE),
    ),
)]
#[expect(dead_code, reason = "describes what another room serves")]
fn mcp() {}

/// What the page at `/docs/` consists of.
pub(super) fn page(service: &mut ServiceConfig) {
    let config = Config::from("/openapi.json")
        // Else it would ask a server elsewhere to judge the description.
        .validator_url("none")
        .display_operation_id(true);
    service.service(
        web::scope("/docs")
            .wrap(DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, POLICY)))
            .service(SwaggerUi::new("/{_:.*}").config(config))
            .default_service(web::to(other_methods)),
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
        .body(document.json())
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
