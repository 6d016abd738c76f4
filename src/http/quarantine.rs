//! `/api/v1/quarantine`: readings set aside; looking at them, correcting, re-queueing, discarding.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes, Data, Path, PayloadConfig},
};
use utoipa::IntoParams;

use super::{
    problem::Problem,
    query::{self, Query, WindowParameters, bad_value},
    readings::whole,
    routing::{Api, DescribedRefusal, INVALID, NOT_FOUND, described},
};
use crate::{
    control::{Control, Selection},
    domain::{
        quarantine::{
            QuarantineCorrection, QuarantineFilter, QuarantineReason, QuarantinedReading,
        },
        store::{Page, QuarantineActionResult},
    },
};

/// A correction is one reading at the most.
const MOST_BYTES: usize = 64 * 1024;

const NOT_SENDABLE: DescribedRefusal = (
    409,
    "The reading may be stored already, or still cannot be sent; the `type` tells which. Nothing was done.",
);
const TOO_MUCH: [DescribedRefusal; 2] = [
    (
        408,
        "The body did not come in within a minute. Nothing was done.",
    ),
    (413, "More than a correction can hold. Nothing was done."),
];

pub(super) fn routes(api: &mut Api) {
    api.resource([
        described::<__path_list>(web::to(list)).refuses([INVALID]),
        described::<__path_discard>(web::to(discard)).refuses([INVALID]),
    ]);
    api.resource([described::<__path_requeue>(web::to(requeue)).refuses([INVALID])]);
    let entry = [
        described::<__path_show_entry>(web::to(show_entry)).refuses([INVALID, NOT_FOUND]),
        described::<__path_correct_entry>(web::to(correct_entry))
            .refuses([INVALID, NOT_FOUND])
            .refuses(TOO_MUCH),
        described::<__path_discard_entry>(web::to(discard_entry)).refuses([INVALID, NOT_FOUND]),
    ];
    api.resource_with(entry, |resource| {
        resource.app_data(PayloadConfig::new(MOST_BYTES))
    });
    api.resource([
        described::<__path_requeue_entry>(web::to(requeue_entry)).refuses([
            INVALID,
            NOT_FOUND,
            NOT_SENDABLE,
        ]),
    ]);
}

/// Which entries are meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes, and is never made")]
struct SelectionParameters {
    /// Only what was set aside for this reason.
    reason: Option<QuarantineReason>,
    /// Only of the meter with this external id.
    meter: Option<String>,
    /// Everything; has to be said where neither reason nor meter is.
    all: Option<bool>,
}

/// Readings that were set aside, newest first
#[utoipa::path(
    get,
    path = "/api/v1/quarantine",
    operation_id = "list_quarantine",
    tag = "quarantine",
    params(
        ("reason" = Option<QuarantineReason>, Query, description = "Only what was set aside for this reason"),
        ("meter" = Option<String>, Query, description = "Only of the meter with this external id"),
        WindowParameters,
    ),
    responses((status = 200, description = "A page of the quarantine", body = Page<QuarantinedReading>)),
)]
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

/// Remove many entries for good
#[utoipa::path(
    delete,
    path = "/api/v1/quarantine",
    operation_id = "discard_quarantined",
    tag = "quarantine",
    params(SelectionParameters),
    responses((status = 200, description = "How many were removed", body = QuarantineActionResult)),
)]
async fn discard(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let selection = selection(&mut query)?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.discard(selection?).await?))
}

/// Upload many entries again
///
/// Entries that must not or cannot be sent are passed over and counted.
#[utoipa::path(
    post,
    path = "/api/v1/quarantine/requeue",
    operation_id = "requeue_quarantined",
    tag = "quarantine",
    params(
        SelectionParameters,
        ("accept_double" = Option<bool>, Query, description = "Also those that may be stored already, which may then arrive twice"),
    ),
    responses((status = 200, description = "How many returned to the queue", body = QuarantineActionResult)),
)]
async fn requeue(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let accept_double = query.flag("accept_double")?;
    let selection = selection(&mut query)?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.requeue(selection?, accept_double).await?))
}

/// One entry
#[utoipa::path(
    get,
    path = "/api/v1/quarantine/{id}",
    operation_id = "get_quarantine_entry",
    tag = "quarantine",
    params(("id" = i64, Path, description = "The entry's id")),
    responses((status = 200, description = "The entry", body = QuarantinedReading)),
)]
async fn show_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.quarantined_entry(number(&id)?).await?))
}

/// Correct the fields of an entry
///
/// Fields that are left out stay as they are.
#[utoipa::path(
    patch,
    path = "/api/v1/quarantine/{id}",
    operation_id = "correct_quarantine_entry",
    tag = "quarantine",
    params(("id" = i64, Path, description = "The entry's id")),
    request_body = QuarantineCorrection,
    responses((status = 200, description = "The entry as it is now", body = QuarantinedReading)),
)]
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

/// Remove one entry for good
#[utoipa::path(
    delete,
    path = "/api/v1/quarantine/{id}",
    operation_id = "discard_quarantine_entry",
    tag = "quarantine",
    params(("id" = i64, Path, description = "The entry's id")),
    responses((status = 200, description = "It is removed", body = QuarantineActionResult)),
)]
async fn discard_entry(
    control: Data<Control>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.discard_entry(number(&id)?).await?))
}

/// Upload one entry again
#[utoipa::path(
    post,
    path = "/api/v1/quarantine/{id}/requeue",
    operation_id = "requeue_quarantine_entry",
    tag = "quarantine",
    params(
        ("id" = i64, Path, description = "The entry's id"),
        ("accept_double" = Option<bool>, Query, description = "Also where it may be stored already and may then arrive twice"),
    ),
    responses((status = 200, description = "It returned to the queue", body = QuarantineActionResult)),
)]
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
