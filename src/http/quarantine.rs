//! `/api/v1/quarantine`: readings set aside; looking at them, correcting, re-queueing, discarding.

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{self, Bytes, Data, Path, PayloadConfig, ServiceConfig},
};

use super::{
    problem::Problem,
    query::{self, Query, bad_value},
    readings::whole,
    routing::{resource, resource_of},
};
use crate::{
    control::{Control, Selection},
    domain::quarantine::{QuarantineFilter, QuarantineReason},
};

/// A correction is one reading at the most.
const MOST_BYTES: usize = 64 * 1024;

pub(super) fn routes(service: &mut ServiceConfig) {
    resource(
        service,
        "/api/v1/quarantine",
        [
            (Method::GET, web::to(list)),
            (Method::DELETE, web::to(discard)),
        ],
    );
    resource(
        service,
        "/api/v1/quarantine/requeue",
        [(Method::POST, web::to(requeue))],
    );
    let entry = [
        (Method::GET, web::to(show_entry)),
        (Method::PATCH, web::to(correct_entry)),
        (Method::DELETE, web::to(discard_entry)),
    ];
    service.service(
        resource_of("/api/v1/quarantine/{id}", entry).app_data(PayloadConfig::new(MOST_BYTES)),
    );
    resource(
        service,
        "/api/v1/quarantine/{id}/requeue",
        [(Method::POST, web::to(requeue_entry))],
    );
}

async fn list(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let filter = QuarantineFilter {
        id: None,
        reason: reason(&mut query)?,
        meter: query.text("meter")?,
    };
    let window = query.window()?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.quarantined(&filter, window).await?))
}

async fn discard(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let selection = selection(&mut query)?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.discard(selection?).await?))
}

async fn requeue(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let accept_double = query.flag("accept_double")?;
    let selection = selection(&mut query)?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.requeue(selection?, accept_double).await?))
}

async fn show_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.quarantined_entry(number(&id)?).await?))
}

async fn correct_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
    body: Result<Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    let body = whole(body, MOST_BYTES)?;
    Ok(HttpResponse::Ok().json(control.correct_entry(number(&id)?, &body).await?))
}

async fn discard_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.discard_entry(number(&id)?).await?))
}

async fn requeue_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let accept_double = query.flag("accept_double")?;
    query.end()?;
    let result = control.requeue_entry(number(&id)?, accept_double).await?;
    Ok(HttpResponse::Ok().json(result))
}

fn number(id: &str) -> Result<i64, Problem> {
    id.parse()
        .map_err(|_| bad_value("the id in the path", id, "a whole number"))
}

fn reason(query: &mut Query) -> Result<Option<QuarantineReason>, Problem> {
    let Some(text) = query.text("reason")? else {
        return Ok(None);
    };
    QuarantineReason::parse(&text)
        .map(Some)
        .ok_or_else(|| bad_value("reason", &text, "refused, unreadable or possibly_stored"))
}

/// Bad values come first, then parameters that nobody knows, then what the selection itself lacks.
fn selection(
    query: &mut Query,
) -> Result<Result<Selection, crate::control::ControlError>, Problem> {
    let reason = reason(query)?;
    let meter = query.text("meter")?;
    let all = query.flag("all")?;
    Ok(Selection::new(reason, meter, all))
}
