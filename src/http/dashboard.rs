//! The page for people: the state of everything on one screen, rendered here, without scripts.

use std::fmt::Display;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
    web::{self, Data},
};

use super::routing::{Api, described};
use crate::{control::Control, domain::status::ServiceStatus};

/// Nothing is loaded from anywhere; only the page's own style applies.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const STYLE: &str = "body{font:16px system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;color-scheme:light dark}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8884}\
h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:1.5rem}";

pub(super) fn routes(api: &mut Api) {
    api.resource([described::<__path_show>(web::to(show))]);
}

/// The state of everything on one page
#[utoipa::path(
    get,
    path = "/",
    operation_id = "get_dashboard",
    tag = "pages",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
async fn show(control: Data<Control>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(page(&control.status()))
}

fn page(status: &ServiceStatus) -> String {
    let state = serde_json::to_value(status.state).ok();
    let state = state
        .as_ref()
        .and_then(|state| state.as_str())
        .unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <title>{state} – meterit-sync</title><style>{STYLE}</style></head><body>\
         <h1>{state}: {reason}</h1><p>since {since}</p>\
         <h2>Queue</h2><table>{queue}</table>\
         <h2>Client System</h2><table>{link}</table>\
         <h2>Actors</h2><table><tr><th>Actor<th>State<th>Restarts<th>Last failure</tr>{actors}</table>\
         <p>meterit-sync {version}, up {uptime} s. As JSON: <a href=\"/status\">/status</a>.</p></body></html>",
        state = escaped(state),
        reason = escaped(&status.reason),
        since = status.since,
        queue = queue_rows(status),
        link = link_rows(status),
        actors = actor_rows(status),
        version = status.version,
        uptime = status.uptime_s,
    )
}

fn queue_rows(status: &ServiceStatus) -> String {
    let queue = &status.queue;
    row("Waiting", queue.pending)
        + &row("of these in flight", queue.in_flight)
        + &row("In quarantine", queue.quarantined)
        + &row("Oldest waiting since", or_dash(queue.oldest_pending_at))
        + &row(
            "Uploaded per second, lately",
            format_args!("{:.1}", queue.drain_rate_per_s),
        )
        + &row("Uploaded since the start", status.sync.total_synced)
        + &row("Last pass", or_dash(status.sync.last_sync_time))
        + &row(
            "Its failure",
            or_dash(status.sync.last_sync_error.as_deref()),
        )
}

fn link_rows(status: &ServiceStatus) -> String {
    let link = &status.connectivity;
    row("Address", &link.url)
        + &row("Reachable", if link.is_connected { "yes" } else { "no" })
        + &row("Last answer", or_dash(link.last_successful_connection))
        + &row("Last error", or_dash(link.last_error.as_deref()))
        + &row("Last heartbeat", or_dash(status.heartbeat.last_success_at))
        + &row("Last configuration", or_dash(status.config.last_success_at))
}

fn actor_rows(status: &ServiceStatus) -> String {
    let actors = status.actors.iter().map(|actor| {
        let state = format!("{:?}", actor.state).to_lowercase();
        let failure = or_dash(actor.last_failure.as_deref());
        format!(
            "<tr><td>{}<td>{state}<td>{}<td>{}</tr>",
            actor.name,
            actor.restarts,
            escaped(&failure)
        )
    });
    actors.collect()
}

fn row(name: &str, value: impl Display) -> String {
    format!(
        "<tr><th scope=\"row\">{name}<td>{}</tr>",
        escaped(&value.to_string())
    )
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_stay_words() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(
            row("Last error", "<script>"),
            "<tr><th scope=\"row\">Last error<td>&lt;script&gt;</tr>"
        );
    }
}
