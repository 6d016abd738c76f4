//! `/api/v1/readings`: storing new readings, looking at local ones.

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    error::PayloadError,
    http::{
        StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName},
    },
    web::{self, Bytes, Data, PayloadConfig},
};
use futures_util::{StreamExt, future::LocalBoxFuture};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder},
    },
};

use super::{
    problem::Problem,
    query::{self, Query, WindowParameters},
    routing::{Api, DescribedRefusal, INVALID, described},
};
use crate::{
    control::{BodyFormat, Control, IncomingLines, MOST_BYTES, MOST_READINGS},
    domain::{
        reading::{Reading, ReadingRow},
        store::{Ingested, Page},
    },
};

/// A century; readings may be old.
const MOST_HOURS: u32 = 876_000;

const NOT_STORED: [DescribedRefusal; 5] = [
    (
        408,
        "The body did not come in within a minute. Nothing was stored.",
    ),
    (
        409,
        "The Idempotency-Key came with other readings before. Nothing was stored.",
    ),
    (413, "More than is taken at once. Nothing was stored."),
    (
        415,
        "The body's form or encoding is not understood. Nothing was stored.",
    ),
    (
        507,
        "The disk is full; uploading goes on and makes room. Nothing was stored.",
    ),
];

pub(super) fn routes(api: &mut Api) {
    let routes = [
        described::<__path_list>(web::to(list)).refuses([INVALID]),
        described::<__path_store>(web::to(store))
            .refuses([INVALID])
            .refuses(NOT_STORED),
    ];
    api.resource_with(routes, |resource| {
        resource.app_data(PayloadConfig::new(MOST_BYTES))
    });
}

/// Readings to store: an array, or an object that holds it as `readings`.
struct NewReadings;

impl PartialSchema for NewReadings {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .property("readings", some_readings())
            .required("readings")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        OneOfBuilder::new()
            .item(some_readings())
            .item(object)
            .into()
    }
}

impl ToSchema for NewReadings {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Reading::schemas(schemas);
        schemas.push((Reading::name().into(), Reading::schema()));
    }
}

/// Readings to store, one per line.
struct ReadingLines;

impl PartialSchema for ReadingLines {
    fn schema() -> RefOr<Schema> {
        some_readings().into()
    }
}

impl ToSchema for ReadingLines {}

fn some_readings() -> ArrayBuilder {
    ArrayBuilder::new()
        .items(Ref::from_schema_name(Reading::name()))
        .min_items(Some(1))
        .max_items(Some(MOST_READINGS))
}

/// Local readings, newest first
///
/// Among the 100,000 that came in last: a longer backlog is not looked through.
#[utoipa::path(
    get,
    path = "/api/v1/readings",
    operation_id = "list_readings",
    tag = "readings",
    params(
        ("meter" = Option<String>, Query, description = "Only of the meter with this external id"),
        ("hours" = Option<u32>, Query, description = "Only those measured in the last so many hours; 24 where absent", minimum = 1, maximum = 876_000),
        WindowParameters,
    ),
    responses((status = 200, description = "A page of the readings", body = Page<ReadingRow>)),
)]
async fn list(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let meter = query.text("meter")?;
    let hours = query.number("hours", 24, &(1..=MOST_HOURS))?;
    let window = query.window()?;
    query.end()?;
    let page = control.readings(meter.as_deref(), hours, window).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Store readings, all or none
///
/// Names hold no characters that nobody sees, such as a space without width: two that look the same would be two meters.
/// At most 10,000 readings or 10 MiB at once. The answer comes only after the readings are durable. With an
/// `Idempotency-Key` a repetition of the same contents stores nothing again, and says so.
#[utoipa::path(
    post,
    path = "/api/v1/readings",
    operation_id = "store_readings",
    tag = "readings",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters", pattern = "^[!-~]{1,255}$")),
    request_body(
        description = "Readings in JSON, or one reading per line",
        content((NewReadings = "application/json"), (ReadingLines = "application/x-ndjson")),
    ),
    responses(
        (status = 201, description = "They are stored durably", body = Ingested),
        (status = 200, description = "They were stored before under the same key", body = Ingested),
    ),
)]
async fn store(
    control: Data<Control>,
    request: HttpRequest,
    body: Result<Body, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    format_of(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let ingested = match whole(body, MOST_BYTES)? {
        Body::Json(body) => control.store_readings(body, key).await?,
        Body::Lines(lines) => control.store_lines(lines, key).await?,
    };
    if ingested.repeated {
        return Ok(HttpResponse::Ok().json(ingested));
    }
    Ok(HttpResponse::Created().json(ingested))
}

/// A body that has come in completely. One that is going to be refused for its headers does as well: many a client hears an
/// answer only after it has sent everything.
enum Body {
    Json(Bytes),
    Lines(IncomingLines),
}

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if matches!(format_of(request.headers()), Ok(BodyFormat::Lines)) {
            let announced = request.headers().get(CONTENT_LENGTH).cloned();
            let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
            let lines = read_lines(payload.take(), announced);
            return Box::pin(async { Ok(Self::Lines(lines.await?)) });
        }
        let body = Bytes::from_request(request, payload);
        Box::pin(async { Ok(Self::Json(body.await?)) })
    }
}

async fn read_lines(
    mut payload: Payload,
    announced: Option<usize>,
) -> Result<IncomingLines, PayloadError> {
    let mut lines = IncomingLines::default();
    if announced.is_some_and(|length| length > MOST_BYTES) {
        return Err(PayloadError::Overflow);
    }
    while let Some(bytes) = payload.next().await {
        lines.push(&bytes?);
        if lines.size() > MOST_BYTES {
            return Err(PayloadError::Overflow);
        }
    }
    Ok(lines)
}

/// A body that was read to its end.
pub(super) fn whole<B>(body: Result<B, actix_web::Error>, most_bytes: usize) -> Result<B, Problem> {
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
        // What came is not said again here and below: it may be anything, a secret in the wrong place included.
        return Err(Problem::unsupported_media_type(
            "the body is encoded in a way that is not understood, so nothing was stored; send it without Content-Encoding",
        ));
    }
    let content_type = text_of(headers, &CONTENT_TYPE)?.unwrap_or("application/json");
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => Ok(BodyFormat::Json),
        "application/x-ndjson" | "application/ndjson" => Ok(BodyFormat::Lines),
        _ => Err(Problem::unsupported_media_type(
            "the body comes as something else than JSON, so nothing was stored; send it with the Content-Type application/json, or one reading per line with application/x-ndjson",
        )),
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
