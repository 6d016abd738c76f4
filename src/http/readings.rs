//! `/api/v1/readings`: storing new readings, looking at local ones.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName},
    },
    web::{self, Bytes, Data, PayloadConfig, ServiceConfig},
};

use super::{
    problem::Problem,
    query::{self, Query},
    routing::resource_of,
};
use crate::control::{BodyFormat, Control, MOST_BYTES};

/// A century; readings may be old.
const MOST_HOURS: u32 = 876_000;

pub(super) fn routes(service: &mut ServiceConfig) {
    let routes = [(Method::GET, web::to(list)), (Method::POST, web::to(store))];
    service
        .service(resource_of("/api/v1/readings", routes).app_data(PayloadConfig::new(MOST_BYTES)));
}

async fn list(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let meter = query.text("meter")?;
    let hours = query.number("hours", 24, &(1..=MOST_HOURS))?;
    let window = query.window()?;
    query.end()?;
    let page = control.readings(meter.as_deref(), hours, window).await?;
    Ok(HttpResponse::Ok().json(page))
}

async fn store(
    control: Data<Control>,
    request: HttpRequest,
    body: Result<Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    let format = format_of(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let body = whole(body, MOST_BYTES)?;
    let ingested = control.store_readings(body, format, key).await?;
    if ingested.repeated {
        return Ok(HttpResponse::Ok().json(ingested));
    }
    Ok(HttpResponse::Created().json(ingested))
}

/// A body that was read to its end.
pub(super) fn whole(
    body: Result<Bytes, actix_web::Error>,
    most_bytes: usize,
) -> Result<Bytes, Problem> {
    body.map_err(|error| {
        if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large(most_bytes)
        } else {
            Problem::invalid(format!(
                "the body could not be read, so nothing was done: {error}; send the request again"
            ))
        }
    })
}

fn format_of(headers: &HeaderMap) -> Result<BodyFormat, Problem> {
    let encoding = text_of(headers, &CONTENT_ENCODING)?.unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        return Err(Problem::unsupported_media_type(format!(
            "the body is encoded as {encoding:?}, so nothing was stored; send it without Content-Encoding"
        )));
    }
    let content_type = text_of(headers, &CONTENT_TYPE)?.unwrap_or("application/json");
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => Ok(BodyFormat::Json),
        "application/x-ndjson" | "application/ndjson" => Ok(BodyFormat::Lines),
        _ => Err(Problem::unsupported_media_type(format!(
            "the body comes as {content_type:?}, so nothing was stored; send it as application/json, or one reading per line as application/x-ndjson"
        ))),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let name = HeaderName::from_static("idempotency-key");
    if headers.get_all(&name).count() > 1 {
        return Err(Problem::invalid(
            "the request holds more than one Idempotency-Key, so nothing was stored; give one",
        ));
    }
    Ok(text_of(headers, &name)?.map(str::to_owned))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    headers
        .get(name)
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| {
            Problem::invalid(format!(
                "the header {name} is not visible ASCII, so nothing was done; correct it"
            ))
        })
}
