//! `/api/v1/sync`: starting, stopping and triggering the uploading; its status, statistics and log.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Data},
};

use super::{
    problem::Problem,
    query::{self, Query, WindowParameters},
    routing::{Api, CALL_FAILED, DescribedRefusal, INVALID, described},
};
use crate::{
    control::Control,
    domain::{
        answer::{Switched, Triggered},
        pass::PassReport,
        status::SyncStatus,
        store::Page,
        sync_log::{SyncLogEntry, SyncStats},
    },
};

/// Ten years; the log is kept for much less.
const MOST_HOURS: u32 = 87_600;

const NOT_NOW: DescribedRefusal = (
    409,
    "A pass is running already, or synchronisation is stopped; the `type` tells which.",
);

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_start>(web::to(start)).refuses([INVALID])]);
    api.resource([described::<__path_stop>(web::to(stop)).refuses([INVALID])]);
    api.resource([described::<__path_trigger>(web::to(trigger))
        .refuses([INVALID, NOT_NOW])
        .refuses(CALL_FAILED)]);
    api.resource([described::<__path_status>(web::to(status))]);
    api.resource([described::<__path_stats>(web::to(stats)).refuses([INVALID])]);
    api.resource([described::<__path_log>(web::to(log)).refuses([INVALID])]);
}

/// Switch the uploading on
#[utoipa::path(
    post,
    path = "/api/v1/sync/start",
    operation_id = "start_sync",
    tag = "sync",
    responses((status = 200, description = "It is on now", body = Switched)),
)]
async fn start(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.start_sync().await?))
}

/// Switch the uploading off
///
/// An upload in flight is still settled. All readings are kept.
#[utoipa::path(
    post,
    path = "/api/v1/sync/stop",
    operation_id = "stop_sync",
    tag = "sync",
    responses((status = 200, description = "It is off now", body = Switched)),
)]
async fn stop(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.stop_sync().await?))
}

/// Upload now
///
/// With `wait`, a pass that runs is joined, then all is uploaded that was committed before the request, and the answer
/// is the outcome; that may take as long as the queue is long.
#[utoipa::path(
    post,
    path = "/api/v1/sync/trigger",
    operation_id = "trigger_sync",
    tag = "sync",
    params(("wait" = Option<bool>, Query, description = "Answer only with the outcome")),
    responses(
        (status = 202, description = "A pass has started", body = Triggered),
        (status = 200, description = "All is uploaded, and this is how it went", body = PassReport),
    ),
)]
async fn trigger(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let wait = query.flag("wait")?;
    query.end()?;
    if wait {
        return Ok(HttpResponse::Ok().json(control.trigger_sync_and_wait().await?));
    }
    let pass_id = control.trigger_sync().await?;
    Ok(HttpResponse::Accepted().json(Triggered { pass_id }))
}

/// How the uploading fares
#[utoipa::path(
    get,
    path = "/api/v1/sync/status",
    operation_id = "get_sync_status",
    tag = "sync",
    responses((status = 200, description = "What the sync manager says", body = SyncStatus)),
)]
async fn status(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status().sync)
}

/// Sums over the uploads of the last hours
#[utoipa::path(
    get,
    path = "/api/v1/sync/stats",
    operation_id = "get_sync_stats",
    tag = "sync",
    params(("hours" = Option<u32>, Query, description = "So many hours back; 24 where absent", minimum = 1, maximum = 87_600)),
    responses((status = 200, description = "The sums", body = SyncStats)),
)]
async fn stats(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let hours = query.number("hours", 24, &(1..=MOST_HOURS))?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.sync_stats(hours).await?))
}

/// The log of the uploads, newest first
#[utoipa::path(
    get,
    path = "/api/v1/sync/log",
    operation_id = "get_sync_log",
    tag = "sync",
    params(WindowParameters),
    responses((status = 200, description = "A page of the log", body = Page<SyncLogEntry>)),
)]
async fn log(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let window = query.window()?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.sync_log(window).await?))
}
