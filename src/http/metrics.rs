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
        status::{ActorState, ServiceStatus},
        timestamp::Timestamp,
    },
    telemetry::metrics::{Metrics, Mirrored},
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
    let mirrored = mirrored(&control.status(), control.clock().now().into());
    let text = metrics
        .render(&mirrored)
        .map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, Metrics::MEDIA_TYPE))
        .body(text))
}

fn mirrored(status: &ServiceStatus, now: Timestamp) -> Mirrored {
    let queue = &status.queue;
    Mirrored {
        queue_readings: queue.pending,
        in_flight_readings: queue.in_flight,
        quarantined_readings: queue.quarantined,
        parked_batches: queue.parked_batches,
        oldest_pending_age_seconds: queue
            .oldest_pending_at
            .map_or(0.0, |oldest| now.seconds_since(oldest)),
        drain_rate: queue.drain_rate_per_s,
        disk_free_bytes: queue.disk_free_bytes,
        uploaded_readings: status.sync.total_synced,
        failed_readings: status.sync.total_failed,
        possibly_doubled_uploads: queue.possibly_doubled_uploads,
        passes: status.last_pass.as_ref().map_or(0, |pass| pass.id),
        client_system_connected: status.connectivity.is_connected,
        state: status.state.name().to_owned(),
        actors: status
            .actors
            .iter()
            .map(|actor| {
                (
                    actor.name.clone(),
                    actor.state == ActorState::Running,
                    actor.restarts,
                )
            })
            .collect(),
        uptime_seconds: status.uptime_s,
    }
}
