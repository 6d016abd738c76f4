//! `/api/v1/sync`: starting, stopping and triggering the uploading; its status, statistics and log.

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{self, Data, ServiceConfig},
};

use super::{
    problem::Problem,
    query::{self, Query},
    routing::resource,
};
use crate::{control::Control, domain::answer::Triggered};

/// Ten years; the log is kept for much less.
const MOST_HOURS: u32 = 87_600;

pub(super) fn routes(service: &mut ServiceConfig) {
    for (path, method, route) in [
        ("/start", Method::POST, web::to(start)),
        ("/stop", Method::POST, web::to(stop)),
        ("/trigger", Method::POST, web::to(trigger)),
        ("/status", Method::GET, web::to(status)),
        ("/stats", Method::GET, web::to(stats)),
        ("/log", Method::GET, web::to(log)),
    ] {
        resource(service, &format!("/api/v1/sync{path}"), [(method, route)]);
    }
}

async fn start(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.start_sync().await?))
}

async fn stop(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok().json(control.stop_sync().await?))
}

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

async fn status(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok().json(control.status().sync)
}

async fn stats(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let hours = query.number("hours", 24, &(1..=MOST_HOURS))?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.sync_stats(hours).await?))
}

async fn log(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let window = query.window()?;
    query.end()?;
    Ok(HttpResponse::Ok().json(control.sync_log(window).await?))
}
