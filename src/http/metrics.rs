//! `/metrics`: the text form of Prometheus.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_TYPE,
    web::{self, Data},
};

use super::{
    problem::Problem,
    routing::{Api, described},
};
use crate::{
    control::Control,
    domain::{
        status::{ActorState, ActorStatus, ServiceStatus, State},
        timestamp::Timestamp,
    },
    telemetry::metrics::{Metrics, Mirrored, MirroredActor},
};

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "status",
    responses((status = 200, description = "The text form of Prometheus", content_type = "text/plain", body = String)),
)]
async fn show(control: Data<Control>, metrics: Data<Metrics>) -> Result<HttpResponse, Problem> {
    let mirrored = Mirrored {
        actors: actors(&control),
        ..mirrored(&control.status(), control.clock().now().into())
    };
    let text = metrics
        .render(&mirrored)
        .map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Metrics::MEDIA_TYPE))
        .body(text))
}

fn mirrored(status: &ServiceStatus, now: Timestamp) -> Mirrored {
    let (queue, link) = (&status.queue, &status.connectivity);
    Mirrored {
        queue_readings: queue.pending,
        queue_is_counted: !queue.uncounted,
        in_flight_readings: queue.in_flight,
        quarantined_readings: queue.quarantined,
        parked_batches: queue.parked_batches,
        oldest_pending_age_seconds: queue
            .oldest_pending_at
            .map_or(0.0, |oldest| now.seconds_since(oldest)),
        drain_rate: queue.drain_rate_per_s,
        disk_free_bytes: queue.disk_free_bytes,
        disk_until_full_seconds: queue.hours_until_full.map(|hours| hours * 3600.0),
        disk_is_full: queue.disk_full_since.is_some(),
        uploaded_readings: status.sync.total_synced,
        failed_readings: status.sync.total_failed,
        possibly_doubled_uploads: queue.possibly_doubled_uploads,
        passes: status.last_pass.as_ref().map_or(0, |pass| pass.id),
        client_system_connected: link.is_connected,
        client_system_changed_at: link.since.map(seconds_since_1970),
        client_system_failures: link.consecutive_failures,
        heartbeat_success_at: status.heartbeat.last_success_at.map(seconds_since_1970),
        heartbeat_failures: status.heartbeat.consecutive_failures,
        states: State::ALL
            .map(|state| (state.name().to_owned(), state == status.state))
            .into(),
        actors: Vec::new(),
        refused_calls: status.refused_calls.by_reason().into(),
        uptime_seconds: status.uptime_s,
    }
}

fn actors(control: &Control) -> Vec<MirroredActor> {
    let mirrored = |(actor, work_in_hand): (ActorStatus, usize)| MirroredActor {
        name: actor.name,
        is_up: actor.state == ActorState::Running,
        restarts: actor.restarts,
        work_in_hand,
    };
    control.work_in_hand().into_iter().map(mirrored).collect()
}

fn seconds_since_1970(time: Timestamp) -> f64 {
    time.0.timestamp_millis() as f64 / 1000.0
}
