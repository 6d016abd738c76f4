//! The page for people: the whole truth about a site on one screen. It is rendered here, whole without a script; with one
//! it follows the events and asks for those parts anew that may have changed.

mod assets;
mod axes;
mod canvas;
mod charts;
mod lists;
mod now;
mod page;
mod series;
mod settings;
mod view;
mod words;
mod works;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    web::{self, Data, Path, ReqData},
};
use maud::{Markup, html};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use self::{
    assets::Asset,
    axes::Wall,
    canvas::Frame,
    charts::{Chart, Drawn},
    page::{Contents, Visitor},
    view::{Span, View, ViewParameters, span},
};
use super::{
    access::{Access, Caller},
    problem::Problem,
    query::{self, Query},
    routing::{Api, INVALID, NOT_FOUND, described},
};
use crate::{
    control::Control,
    domain::{
        access::Grant, history::History, quarantine::QuarantineFilter, store::Window,
        timestamp::Timestamp,
    },
};

/// Everything comes from this service, scripts and styles from files of their own, and nobody else shows it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const WIDTHS: std::ops::RangeInclusive<u32> = 320..=1_920;
const OFFSETS: std::ops::RangeInclusive<i32> = -720..=840;
const DEFAULT_WIDTH: u32 = 640;

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show)).refuses([INVALID])]);
    api.resource([described::<__path_show_part>(web::to(show_part)).refuses([INVALID, NOT_FOUND])]);
    api.resource([
        described::<__path_show_chart>(web::to(show_chart)).refuses([INVALID, NOT_FOUND])
    ]);
    api.resource([
        described::<__path_show_asset>(web::to(show_asset)).refuses([INVALID, NOT_FOUND])
    ]);
}

/// What can be asked for anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// All that the status tells.
    Now,
    /// The meters.
    Meters,
    /// The quarantine.
    Quarantine,
    /// The settings in force.
    Settings,
}

impl Part {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "now" => Some(Self::Now),
            "meters" => Some(Self::Meters),
            "quarantine" => Some(Self::Quarantine),
            "settings" => Some(Self::Settings),
            _ => None,
        }
    }
}

/// The state of everything on one page
#[utoipa::path(
    get,
    path = "/",
    operation_id = "get_dashboard",
    tag = "pages",
    params(ViewParameters),
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
async fn show(
    control: Data<Control>,
    access: Data<Access>,
    caller: ReqData<Caller>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let view = View::of(&request)?;
    let status = control.status();
    let contents = Contents {
        status: &status,
        now: now(&control),
        view,
        charts: charts_of_page(&control, view).await?,
        meters: meters(&control, &view).await,
        quarantine: quarantine(&control, &view, may_change(&caller)).await,
        visitor: Visitor {
            may_change: may_change(&caller),
            has_session: caller.has_session(),
            may_log_in: access.knows_tokens(),
        },
        settings: settings::settings(&control.settings()),
    };
    Ok(html_answer(page::page(&contents)))
}

/// A part of that page
///
/// What the page asks for when something has changed.
#[utoipa::path(
    get,
    path = "/parts/{part}.html",
    operation_id = "get_dashboard_part",
    tag = "pages",
    params(("part" = inline(Part), Path, description = "Which part"), ViewParameters),
    responses((status = 200, description = "The part", content_type = "text/html", body = String)),
)]
async fn show_part(
    control: Data<Control>,
    caller: ReqData<Caller>,
    request: HttpRequest,
    part: Path<String>,
) -> Result<HttpResponse, Problem> {
    let view = View::of(&request)?;
    let part = Part::parse(&part).ok_or_else(|| unknown("part of the page", &part))?;
    let markup = match part {
        Part::Now => now_part(&control),
        Part::Meters => meters(&control, &view).await,
        Part::Quarantine => quarantine(&control, &view, may_change(&caller)).await,
        Part::Settings => settings::settings(&control.settings()),
    };
    Ok(html_answer(markup.into_string()))
}

/// [`Frame`] as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes, and is never made")]
struct FrameParameters {
    /// How many hours it goes back: 1, 24 or 168; 24 where absent.
    #[param(value_type = Option<Span>, inline)]
    hours: Option<u32>,
    /// In pixels; 640 where absent.
    #[param(minimum = 320, maximum = 1_920)]
    width: Option<u32>,
    /// How far the viewer's clock is ahead of UTC; 0 where absent.
    #[param(minimum = -720, maximum = 840)]
    offset_minutes: Option<i32>,
}

/// How something developed, as a chart
///
/// Grey is where the service did not run. The drawing says in words as well what it shows.
#[utoipa::path(
    get,
    path = "/charts/{chart}.svg",
    operation_id = "get_chart",
    tag = "pages",
    params(
        ("chart" = inline(Chart), Path, description = "What it is about"),
        FrameParameters,
    ),
    responses((status = 200, description = "The chart", content_type = "image/svg+xml", body = String)),
)]
async fn show_chart(
    control: Data<Control>,
    request: HttpRequest,
    chart: Path<String>,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let frame = Frame {
        hours: span(&mut query)?,
        width: query.number("width", DEFAULT_WIDTH, &WIDTHS)?,
        wall: Wall {
            offset_minutes: query.number("offset_minutes", 0, &OFFSETS)?,
        },
    };
    query.end()?;
    let chart = Chart::parse(&chart).ok_or_else(|| unknown("chart", &chart))?;
    let history = control.history(frame.hours).await?;
    let drawn = draw(chart, &history, frame)?;
    Ok(guarded()
        .content_type("image/svg+xml")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(drawn.svg))
}

/// What the page is made of besides itself
#[utoipa::path(
    get,
    path = "/assets/{asset}",
    operation_id = "get_asset",
    tag = "pages",
    params(("asset" = inline(Asset), Path, description = "Which file")),
    responses(
        (status = 200, description = "The file, with a tag by which it is known again", content(
            (String = "text/css"),
            (String = "text/javascript"),
            (String = "image/svg+xml"),
        )),
        (status = 304, description = "The asker has it already"),
    ),
)]
async fn show_asset(request: HttpRequest, asset: Path<String>) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    let asset = Asset::parse(&asset).ok_or_else(|| unknown("file of the page", &asset))?;
    Ok(asset.answer(&request))
}

fn unknown(what: &str, name: &str) -> Problem {
    Problem::not_found(format!(
        "there is no {what} named {name:?}; GET /openapi.json lists those that there are"
    ))
}

fn guarded() -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // Else browsers would not tell where the form for logging out comes from.
        .insert_header((REFERRER_POLICY, "same-origin"));
    answer
}

fn html_answer(text: String) -> HttpResponse {
    guarded()
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text)
}

fn may_change(caller: &Caller) -> bool {
    caller.grant >= Grant::Change
}

fn now(control: &Control) -> Timestamp {
    control.clock().now().into()
}

fn now_part(control: &Control) -> Markup {
    let (status, now) = (control.status(), now(control));
    html! {
        (now::verdict(&status, now))
        (now::figures(&status, now))
        (works::passes(&status, now))
        (works::client_system(&status, now))
        (works::actors(&status, now))
        (works::program(&status, now))
    }
}

async fn meters(control: &Control, view: &View) -> Markup {
    lists::meters(control.active_meters(None).await, view, now(control))
}

async fn quarantine(control: &Control, view: &View, may_decide: bool) -> Markup {
    let window = Window {
        limit: lists::SHOWN,
        offset: view.quarantine_from,
    };
    let page = control
        .quarantined(&QuarantineFilter::default(), window)
        .await;
    lists::quarantine(page, view, may_decide, now(control))
}

/// The page shows its state also where the past cannot be read.
async fn charts_of_page(
    control: &Control,
    view: View,
) -> Result<Vec<(Chart, Option<Drawn>)>, Problem> {
    let frame = Frame {
        hours: view.hours,
        width: DEFAULT_WIDTH,
        wall: Wall { offset_minutes: 0 },
    };
    let history = control.history(view.hours).await.ok();
    let drawn = Chart::ALL.map(|chart| {
        let drawn = history.as_ref().map(|history| draw(chart, history, frame));
        Ok((chart, drawn.transpose()?))
    });
    drawn.into_iter().collect()
}

fn draw(chart: Chart, history: &History, frame: Frame) -> Result<Drawn, Problem> {
    charts::draw(chart, history, frame).map_err(|error| {
        Problem::internal(&format_args!(
            "the chart {} cannot be drawn: {error}",
            chart.name()
        ))
    })
}
