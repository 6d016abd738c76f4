//! `/api/local`: what the Sync Frontend that is deployed at sites polls. Its field names and types are fixed, its
//! errors are `{"error": …}`, and it is fed bounded answers, however long the queue is.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::StatusCode,
    web::{self, Data, ServiceConfig},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    problem::Problem,
    query::Query,
    routing::{Api, Described, DescribedRefusal, described},
};
use crate::{
    control::{Control, ControlError, ProblemKind},
    domain::{
        meter::Meter,
        reading::{ReadingId, ReadingRow},
        store::Window,
        sync_log::SyncLogEntry,
        timestamp::Timestamp,
        value::ReadingValue,
    },
};

const MOST_READINGS: u32 = 1_000;
const MOST_ERRORS: u32 = 10;
/// A century.
const MOST_HOURS: u32 = 876_000;

const JSON: &str = "application/json";
const BAD_QUERY: DescribedRefusal = (400, "The query makes no sense.");
/// What each call may answer in the page's own form.
const REFUSALS: [DescribedRefusal; 2] = [
    (500, "The service made a mistake."),
    (503, "The Sync Database does not answer."),
];

pub(super) fn routes(api: &mut Api) {
    let local = |route: Described| route.refuses_as::<LocalError>(JSON, REFUSALS);
    api.resource([local(described::<__path_meters>(web::to(meters)))]);
    let readings = local(described::<__path_readings>(web::to(readings)));
    api.resource([readings.refuses_as::<LocalError>(JSON, [BAD_QUERY])]);
    api.resource([local(described::<__path_sync_status>(web::to(sync_status)))]);
    api.resource([local(described::<__path_trigger>(web::to(trigger)))]);
}

/// All other paths under `/api/local`; to be added after [`routes`].
pub(super) fn rest(service: &mut ServiceConfig) {
    service.service(web::scope("/api/local").default_service(web::to(not_found)));
}

/// A refusal in the page's form.
#[derive(Serialize, ToSchema)]
struct LocalError {
    /// What is wrong; the page shows it.
    error: String,
}

/// A refusal in the frontend's own form.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
struct Refusal {
    status: StatusCode,
    words: String,
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(LocalError {
            error: self.words.clone(),
        })
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self {
            status: problem.status_code(),
            words: problem.to_string(),
        }
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Problem::from(error).into()
    }
}

async fn not_found() -> Result<HttpResponse, Refusal> {
    Err(Refusal {
        status: StatusCode::NOT_FOUND,
        words: "Not found".to_owned(),
    })
}

#[derive(Serialize, ToSchema)]
struct ActiveMeter {
    id: i64,
    external_id: String,
    name: String,
    bacnet_device_id: Option<i64>,
    bacnet_ip: Option<String>,
    last_reading_at: Option<Timestamp>,
    is_active: bool,
    created_at: Timestamp,
}

impl From<Meter> for ActiveMeter {
    fn from(meter: Meter) -> Self {
        let Meter {
            id,
            external_id,
            name,
            bacnet_device_id,
            bacnet_ip,
            last_reading_at,
            is_active,
            created_at,
        } = meter;
        Self {
            id,
            external_id,
            name,
            bacnet_device_id,
            bacnet_ip,
            last_reading_at,
            is_active,
            // A row that another program wrote may lack it, which the page's type does not allow.
            created_at: created_at.or(last_reading_at).unwrap_or(EPOCH),
        }
    }
}

const EPOCH: Timestamp = Timestamp(chrono::DateTime::UNIX_EPOCH);

/// The active meters, by name
#[utoipa::path(
    get,
    path = "/api/local/meters",
    operation_id = "get_local_meters",
    tag = "frontend",
    responses((status = 200, description = "The meters", body = Vec<ActiveMeter>)),
)]
async fn meters(control: Data<Control>) -> Result<HttpResponse, Refusal> {
    let known = control.active_meters(None).await?;
    let active: Vec<_> = known.into_iter().map(ActiveMeter::from).collect();
    Ok(HttpResponse::Ok().json(active))
}

#[derive(Serialize, ToSchema)]
struct LocalReading {
    #[schema(value_type = i64)]
    id: ReadingId,
    meter_external_id: String,
    timestamp: Timestamp,
    data_point: String,
    value: ReadingValue,
    unit: Option<String>,
    is_synchronized: bool,
    created_at: Timestamp,
}

impl LocalReading {
    /// None for rows that make no sense, of which the quarantine tells.
    fn of(row: ReadingRow) -> Option<Self> {
        let timestamp = Timestamp::parse_zoned(&row.timestamp?)?;
        Some(Self {
            id: row.id,
            meter_external_id: row.meter_external_id?,
            timestamp,
            data_point: row.data_point?,
            value: row.value?,
            unit: row.unit,
            is_synchronized: row.is_synchronized,
            created_at: row.created_at.unwrap_or(timestamp),
        })
    }
}

/// The newest local readings, newest first, at most 1,000
///
/// Among the 100,000 that came in last: a longer backlog is not looked through.
#[utoipa::path(
    get,
    path = "/api/local/readings",
    operation_id = "get_local_readings",
    tag = "frontend",
    params(("hours" = Option<u32>, Query, description = "Only those measured in the last so many hours; 24 where absent", minimum = 1, maximum = 876_000)),
    responses((status = 200, description = "The readings", body = Vec<LocalReading>)),
)]
async fn readings(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    // The page may send parameters of its own, to get around caches for example.
    let hours = Query::of(&request)?.number("hours", 24, &(1..=MOST_HOURS))?;
    let page = control.readings(None, hours, newest(MOST_READINGS)).await?;
    let mut found: Vec<_> = page
        .items
        .into_iter()
        .filter_map(LocalReading::of)
        .collect();
    found.sort_by_key(|reading| std::cmp::Reverse((reading.timestamp, reading.id)));
    Ok(HttpResponse::Ok().json(found))
}

#[derive(Serialize, ToSchema)]
struct SyncError {
    id: i64,
    batch_size: i64,
    error_message: String,
    synced_at: Timestamp,
}

impl From<SyncLogEntry> for SyncError {
    fn from(entry: SyncLogEntry) -> Self {
        Self {
            id: entry.id,
            batch_size: entry.batch_size,
            error_message: entry.error_message.unwrap_or_default(),
            synced_at: entry.synced_at.unwrap_or(EPOCH),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct LocalStatus {
    is_connected: bool,
    /// The last success.
    last_sync_at: Option<Timestamp>,
    queue_size: u64,
    /// The last failures, newest first.
    sync_errors: Vec<SyncError>,
}

/// How the uploading fares, with its last failures, at most 10
#[utoipa::path(
    get,
    path = "/api/local/sync-status",
    operation_id = "get_local_sync_status",
    tag = "frontend",
    responses((status = 200, description = "How it fares", body = LocalStatus)),
)]
async fn sync_status(control: Data<Control>) -> Result<HttpResponse, Refusal> {
    let uploaded_at = control.last_upload_at().await?;
    let failures = control.sync_failures(MOST_ERRORS).await?;
    let sync = control.status().sync;
    // A pass that found nothing to upload succeeded as well, and left no trace in the log.
    let succeeded_at = sync
        .last_sync_time
        .filter(|_| sync.last_sync_success == Some(true));
    Ok(HttpResponse::Ok().json(LocalStatus {
        is_connected: sync.is_client_connected,
        last_sync_at: succeeded_at.max(uploaded_at),
        queue_size: sync.queue_size,
        sync_errors: failures.into_iter().map(SyncError::from).collect(),
    }))
}

#[derive(Serialize, ToSchema)]
struct LocalTrigger {
    message: &'static str,
    queue_size: u64,
}

/// Upload now
#[utoipa::path(
    post,
    path = "/api/local/sync-trigger",
    operation_id = "trigger_local_sync",
    tag = "frontend",
    responses(
        (status = 200, description = "A pass has started", body = LocalTrigger),
        (status = 409, description = "A pass is running already, or synchronisation is stopped", body = LocalError),
        (status = 503, description = "The Client System is not reachable", body = LocalError),
    ),
)]
async fn trigger(control: Data<Control>) -> Result<HttpResponse, Refusal> {
    match control.trigger_sync().await {
        Ok(_) => Ok(HttpResponse::Ok().json(LocalTrigger {
            message: "Sync triggered",
            queue_size: control.status().sync.queue_size,
        })),
        Err(error) => Err(refused(error)),
    }
}

/// The page compares the words of the two refusals that it knows.
fn refused(error: ControlError) -> Refusal {
    let fixed = match error.kind() {
        ProblemKind::PassAlreadyRunning => Some("Sync is already in progress"),
        ProblemKind::ClientSystemOffline => Some("Client System is not reachable"),
        _ => None,
    };
    let refusal = Refusal::from(error);
    match fixed {
        Some(words) => Refusal {
            words: words.to_owned(),
            ..refusal
        },
        None => refusal,
    }
}

fn newest(limit: u32) -> Window {
    Window { limit, offset: 0 }
}
