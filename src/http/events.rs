//! `/api/v1/events`: what happens, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{self, Bytes, Data, ReqData},
};
use futures_util::{Stream, StreamExt, future::ready, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{
    access::{Access, Caller},
    problem::Problem,
    query::Query,
    routing::{Api, DescribedRefusal, INVALID, described},
};
use crate::{
    control::{Control, Watch},
    domain::{
        connectivity::LinkChange,
        event::{Event, EventKind},
    },
};

/// Tells proxies and the watcher's own time-outs that the connection still stands.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(15);
/// Who wants to see the status is shown it at most so often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

const LAST_EVENT_ID: &str = "last-event-id";

const CROWDED: DescribedRefusal = (
    503,
    "So many watch already that nobody else is served; `Retry-After` tells when to try again.",
);

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_watch>(web::to(watch)).refuses([INVALID, CROWDED])]);
}

/// What happens, as server-sent events
///
/// `connected`, `disconnected`, `state-change`, `pass-started`, `pass-finished` and `actor-restarted`, each with an id of its
/// own; one comes before the first event. Whoever comes back with the last id as `Last-Event-ID` is told what happened
/// meanwhile; `missed` where that is not known any more, or the watcher was too slow. A change of the link is told twice, as
/// `connected` or `disconnected` and then, with the same content, as `state-change`: act on one of these names. With `status`, also `status` with all that `/status` tells, at most once a
/// second and only when it has changed. The stream has no end.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "watch_events",
    tag = "status",
    params(
        ("status" = Option<bool>, Query, description = "Tell the status as well"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was heard"),
    ),
    responses((status = 200, description = "A stream of events, each with an event as JSON", content_type = "text/event-stream", body = Event)),
)]
async fn watch(
    control: Data<Control>,
    access: Data<Access>,
    caller: ReqData<Caller>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request)?;
    let wants_status = query.flag("status")?;
    query.end()?;
    let last_seen = request.headers().get(LAST_EVENT_ID);
    // What cannot be read is the name of no event.
    let last_seen = last_seen.map(|id| id.to_str().unwrap_or_default());
    let watch = control.watch(last_seen)?;
    let frames = frames(control.get_ref().clone(), watch, wants_status);
    // What goes on for days ends with the session or the token that it was begun with.
    let frames = frames.take_while(move |_| ready(access.still_admits(&caller)));
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(frames)))
}

/// Begins with a comment, so that the watcher sees at once that it is connected, and with an id: whoever is cut off before
/// the first event comes back with that.
pub(super) fn frames(
    control: Control,
    watch: Watch,
    wants_status: bool,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let watcher = Watcher::new(control, watch, wants_status);
    stream::unfold(watcher, |mut watcher| async move {
        let frame = watcher.next().await?;
        Some((Ok(Bytes::from(frame)), watcher))
    })
}

struct Watcher {
    control: Control,
    watch: Watch,
    /// What is to be said before anything that comes.
    ready: VecDeque<String>,
    /// What was last told of the status; none where it is not wanted.
    status: Option<Value>,
    /// When it may be told again.
    status_at: Duration,
    silent_since: Duration,
}

impl Watcher {
    fn new(control: Control, mut watch: Watch, wants_status: bool) -> Self {
        let mut ready = VecDeque::from([": connected\n\n".to_owned()]);
        if watch.events.has_missed {
            ready.push_back(missed(None));
        }
        ready.push_back(format!("id: {}\n\n", watch.events.first_id()));
        let earlier = std::mem::take(&mut watch.events.earlier);
        let mut names_heard = watch.events.names_heard;
        ready.extend(earlier.iter().map(|event| {
            let names_heard = std::mem::take(&mut names_heard);
            frames_of(event, names_heard, &watch)
        }));
        let now = control.clock().elapsed();
        Self {
            control,
            watch,
            ready,
            status: wants_status.then_some(Value::Null),
            status_at: now,
            silent_since: now,
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.silent_since = self.now();
                return Some(frame);
            }
            if let Some(frame) = self.changed_status() {
                return Some(frame);
            }
            let alive_at = self.silent_since + SIGN_OF_LIFE_EVERY;
            let next_at = match self.status {
                Some(_) => self.status_at.min(alive_at),
                None => alive_at,
            };
            let pause = next_at.saturating_sub(self.now());
            tokio::select! {
                event = self.watch.events.live.recv() => match event {
                    Ok(event) => self.ready.push_back(frames_of(&event, 0, &self.watch)),
                    Err(RecvError::Lagged(count)) => self.ready.push_back(missed(Some(count))),
                    Err(RecvError::Closed) => return None,
                },
                () = self.control.clock().sleep(pause) => {
                    if self.now() >= alive_at {
                        self.ready.push_back(": alive\n\n".to_owned());
                    }
                }
            }
        }
    }

    /// The whole of it where it is not what was told last, apart from what only tells the time.
    fn changed_status(&mut self) -> Option<String> {
        let time = self.now();
        let told = self.status.as_mut()?;
        if time < self.status_at {
            return None;
        }
        self.status_at = time + STATUS_EVERY;
        let now = json!(self.control.status());
        if without_passing_time(now.clone()) == *told {
            return None;
        }
        let frame = format!("event: status\ndata: {now}\n\n");
        *told = without_passing_time(now);
        self.silent_since = time;
        Some(frame)
    }

    fn now(&self) -> Duration {
        self.control.clock().elapsed()
    }
}

fn without_passing_time(mut status: Value) -> Value {
    for (within, name) in [
        ("", "uptime_s"),
        ("/connectivity", "uptime"),
        ("/connectivity", "downtime"),
    ] {
        if let Some(part) = status.pointer_mut(within).and_then(Value::as_object_mut) {
            part.remove(name);
        }
    }
    status
}

fn missed(count: Option<u64>) -> String {
    format!("event: missed\ndata: {}\n\n", json!({ "missed": count }))
}

/// A change of the link is told under both of its names, each with an id of its own: whoever is cut off between them comes
/// back for the second.
fn frames_of(event: &Event, names_heard: usize, watch: &Watch) -> String {
    let (names, data) = (names_of(&event.kind), json!(event));
    let numbered = names.iter().zip(1..).skip(names_heard);
    numbered
        .map(|(name, number)| {
            let id = if number == names.len() {
                watch.events.id(event)
            } else {
                watch.events.id_within(event, number)
            };
            format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
        })
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
