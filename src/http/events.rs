//! `/api/v1/events`: what happens, as server-sent events.

use std::{convert::Infallible, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{self, Bytes, Data},
};
use futures_util::{Stream, stream};
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    problem::Problem,
    query,
    routing::{Api, INVALID, described},
};
use crate::{
    clock::Clock,
    control::Control,
    domain::{
        connectivity::LinkChange,
        event::{Event, EventKind},
    },
};

/// Tells proxies and the watcher's own time-outs that the connection still stands.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(15);

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_watch>(web::to(watch)).refuses([INVALID])]);
}

/// What happens, as server-sent events
///
/// `connected`, `disconnected`, `state-change`, `pass-started`, `pass-finished` and `actor-restarted`; `missed` where the
/// watcher was too slow. The stream has no end.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "watch_events",
    tag = "status",
    responses((status = 200, description = "A stream of events, each with an event as JSON", content_type = "text/event-stream", body = Event)),
)]
async fn watch(control: Data<Control>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(&request)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(frames(control.listen(), control.clock().clone()))))
}

/// Begins with a comment, so that the watcher sees at once that it is connected.
pub(super) fn frames(
    events: Receiver<Event>,
    clock: Clock,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(
        (events, clock, false),
        |(mut events, clock, greeted)| async move {
            let frame = if greeted {
                next_frame(&mut events, &clock).await?
            } else {
                ": connected\n\n".to_owned()
            };
            Some((Ok(Bytes::from(frame)), (events, clock, true)))
        },
    )
}

async fn next_frame(events: &mut Receiver<Event>, clock: &Clock) -> Option<String> {
    tokio::select! {
        event = events.recv() => match event {
            Ok(event) => Some(frames_of(&event)),
            Err(RecvError::Lagged(missed)) => {
                Some(format!("event: missed\ndata: {}\n\n", json!({ "missed": missed })))
            }
            Err(RecvError::Closed) => None,
        },
        () = clock.sleep(SIGN_OF_LIFE_EVERY) => Some(": alive\n\n".to_owned()),
    }
}

/// A change of the link is told under both of its names.
fn frames_of(event: &Event) -> String {
    let data = json!(event);
    names_of(&event.kind)
        .iter()
        .map(|name| format!("event: {name}\ndata: {data}\n\n"))
        .collect()
}

fn names_of(kind: &EventKind) -> &'static [&'static str] {
    match kind {
        EventKind::Link {
            change: LinkChange::Connected,
            ..
        } => &["connected", "state-change"],
        EventKind::Link {
            change: LinkChange::Disconnected,
            ..
        } => &["disconnected", "state-change"],
        EventKind::PassStarted { .. } => &["pass-started"],
        EventKind::PassFinished(_) => &["pass-finished"],
        EventKind::ActorRestarted { .. } => &["actor-restarted"],
    }
}
