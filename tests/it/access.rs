//! Every route, and everybody who may come to it: what they are answered, and that nothing happens where they are refused.
//! The routes are those that the service describes; one that is not in the table fails the test.

use std::{collections::BTreeSet, time::Duration};

use awc::{
    ClientRequest, SendClientRequest,
    http::{
        Method,
        header::{ACCEPT, CONTENT_TYPE, HOST, ORIGIN},
    },
};
use serde_json::{Value, json};

use crate::helpers::{LocalApi, Plan, Site};

const CONTROL: &str = "control-token-of-the-table";
const READ: &str = "read-token-of-the-table";

/// What a route asks of whoever comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    /// Nothing.
    Open,
    /// One of the two tokens.
    Look,
    /// One of the two tokens, or, where that is set, to be a page of this machine.
    LookOfFrontend,
    /// The control token.
    Change,
    /// The control token, or to be a page of this machine.
    ChangeOfFrontend,
}

use Door::{Change, ChangeOfFrontend, Look, LookOfFrontend, Open};

/// Method, path, door, and the status for whoever is let in; in the order in which they are then called.
const ROUTES: [(&str, &str, Door, u16); 43] = [
    ("get", "/", Look, 200),
    ("get", "/parts/{part}.html", Look, 200),
    ("get", "/charts/{chart}.svg", Look, 200),
    ("get", "/assets/{asset}", Open, 200),
    ("get", "/login", Open, 200),
    // Nothing is typed in.
    ("post", "/login", Open, 400),
    ("post", "/logout", Open, 303),
    ("get", "/health", Open, 200),
    ("get", "/health/live", Open, 200),
    ("get", "/health/ready", Open, 200),
    ("get", "/status", Look, 200),
    ("get", "/metrics", Look, 200),
    ("get", "/openapi.json", Look, 200),
    ("get", "/docs", Look, 308),
    ("get", "/docs/", Look, 200),
    ("post", "/mcp", Look, 200),
    ("get", "/api/v1/history", Look, 200),
    ("get", "/api/v1/settings", Look, 200),
    ("get", "/api/v1/events", Look, 200),
    ("get", "/api/v1/connectivity", Look, 200),
    ("get", "/api/v1/meters", Look, 200),
    ("get", "/api/v1/sync/status", Look, 200),
    ("get", "/api/v1/sync/stats", Look, 200),
    ("get", "/api/v1/sync/log", Look, 200),
    ("get", "/api/v1/readings", Look, 200),
    ("get", "/api/v1/quarantine", Look, 200),
    ("get", "/api/v1/quarantine/{id}", Look, 200),
    ("get", "/api/local/meters", LookOfFrontend, 200),
    ("get", "/api/local/readings", LookOfFrontend, 200),
    ("get", "/api/local/sync-status", LookOfFrontend, 200),
    ("post", "/api/v1/connectivity/check", Change, 200),
    ("post", "/api/v1/config/download", Change, 200),
    ("post", "/api/v1/heartbeat", Change, 200),
    ("post", "/api/v1/readings", Change, 201),
    ("patch", "/api/v1/quarantine/{id}", Change, 200),
    ("post", "/api/v1/quarantine/{id}/requeue", Change, 200),
    ("post", "/api/v1/quarantine/requeue", Change, 200),
    // Gone from there by then.
    ("delete", "/api/v1/quarantine/{id}", Change, 404),
    ("delete", "/api/v1/quarantine", Change, 200),
    ("post", "/api/v1/sync/stop", Change, 200),
    // Stopped by then.
    ("post", "/api/v1/sync/trigger", Change, 409),
    ("post", "/api/local/sync-trigger", ChangeOfFrontend, 409),
    ("post", "/api/v1/sync/start", Change, 200),
];

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    NoToken,
    WrongToken,
    ReadToken,
    ControlToken,
    /// A page of this machine, at another port, without a token.
    Neighbour,
    /// A page from elsewhere that has got hold of the control token.
    ForeignOrigin,
    /// A name that somebody has let point here, with the control token.
    ForeignHost,
    /// What a form on any page of the world can send.
    BlindPost,
    /// The same from a browser that tells the page in another header only.
    BlindPostWithoutOrigin,
    /// What a picture on any page of the world asks for.
    BlindPicture,
}

const ALL: [Who; 10] = [
    Who::NoToken,
    Who::WrongToken,
    Who::ReadToken,
    Who::ControlToken,
    Who::Neighbour,
    Who::ForeignOrigin,
    Who::ForeignHost,
    Who::BlindPost,
    Who::BlindPostWithoutOrigin,
    Who::BlindPicture,
];

/// What they are answered; none where they are let in.
fn refusal(who: Who, door: Door) -> Option<u16> {
    match who {
        Who::ForeignHost => return Some(421),
        Who::ForeignOrigin | Who::BlindPost | Who::BlindPostWithoutOrigin | Who::BlindPicture => {
            return Some(403);
        }
        _ => {}
    }
    match (door, who) {
        (Open, _) | (_, Who::ControlToken) => None,
        (Look | LookOfFrontend, Who::ReadToken) => None,
        (ChangeOfFrontend, Who::Neighbour) => None,
        (Change | ChangeOfFrontend, Who::ReadToken) => Some(403),
        _ => Some(401),
    }
}

fn sent(api: &LocalApi, who: Who, method: &str, path: &str) -> SendClientRequest {
    let is_post = matches!(who, Who::BlindPost | Who::BlindPostWithoutOrigin);
    let method = if is_post {
        Method::POST
    } else {
        Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method")
    };
    let mut path = path
        .replace("{id}", "1")
        .replace("{part}", "now")
        .replace("{chart}", "queue")
        .replace("{asset}", "page.css");
    match (&method, path.as_str()) {
        (&Method::DELETE, "/api/v1/quarantine") => path.push_str("?reason=refused"),
        (&Method::POST, "/api/v1/quarantine/requeue") => path.push_str("?all=true"),
        _ => {}
    }
    let request = dressed(api.request(method.clone(), &path), who);
    let reading = json!({"meter_external_id": "INTRUDER", "timestamp": "2026-01-01T00:00:00Z",
        "data_point": "energy", "value": 1});
    let body = match (&method, path.as_str()) {
        (&Method::POST, "/api/v1/readings") => json!([reading]),
        (&Method::PATCH, _) => json!({"value": 2}),
        (&Method::POST, "/mcp") => json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
        _ => return request.send(),
    };
    request.send_body(body.to_string())
}

/// Asks by HEAD where GET was asked, which is answered the same without a body. How often it asked.
async fn as_head(api: &LocalApi, who: Who, (method, path): (&str, &str), expected: u16) -> u64 {
    let is_post = matches!(who, Who::BlindPost | Who::BlindPostWithoutOrigin);
    if method != "get" || is_post {
        return 0;
    }
    let answer = sent(api, who, "head", path).await;
    let mut answer = answer.expect("an answer");
    assert_eq!(answer.status(), expected, "{who:?}: head {path}");
    let body = answer.body().await.expect("it has an end");
    assert!(body.is_empty(), "{who:?}: head {path}: {body:?}");
    1
}

fn dressed(request: ClientRequest, who: Who) -> ClientRequest {
    let request = request
        .insert_header((ACCEPT, "application/json, text/event-stream"))
        .insert_header((CONTENT_TYPE, "application/json"));
    let from_elsewhere = |request: ClientRequest, mode: &'static str| {
        request
            .insert_header(("sec-fetch-site", "cross-site"))
            .insert_header(("sec-fetch-mode", mode))
    };
    match who {
        Who::NoToken => request,
        Who::WrongToken => request.bearer_auth("neither-of-the-two"),
        Who::ReadToken => request.bearer_auth(READ),
        Who::ControlToken => request.bearer_auth(CONTROL),
        Who::Neighbour => request.insert_header((ORIGIN, "http://127.0.0.1:3000")),
        Who::ForeignOrigin => request
            .bearer_auth(CONTROL)
            .insert_header((ORIGIN, "https://elsewhere.example")),
        Who::ForeignHost => request
            .bearer_auth(CONTROL)
            .insert_header((HOST, "rebound.example:3002")),
        Who::BlindPost => from_elsewhere(request, "no-cors")
            .insert_header((ORIGIN, "https://elsewhere.example"))
            .insert_header((CONTENT_TYPE, "text/plain")),
        Who::BlindPostWithoutOrigin => {
            from_elsewhere(request, "navigate").insert_header((CONTENT_TYPE, "text/plain"))
        }
        Who::BlindPicture => from_elsewhere(request, "no-cors"),
    }
}

/// A site with readings in its queue and in quarantine, where nothing happens by itself.
async fn site() -> Site {
    let site = Plan::default()
        .setting("enable_auto_sync", "false")
        .setting("control_token", CONTROL)
        .setting("read_token", READ)
        .start(3)
        .await;
    site.eventually("the start is over", || {
        let status = site.status();
        status.connectivity.is_connected
            && status.config.last_success_at.is_some()
            && status.queue.pending == 3
    })
    .await;
    site.database
        .execute(
            "INSERT INTO quarantined_readings (reading_id, meter_external_id, timestamp, data_point, value, \
                 retry_count, reason, message, quarantined_at) \
             VALUES (9001, 'M-9', '2026-01-01 00:00:00.000', 'energy', '7.5', 0, 'refused', 'no', datetime('now'));",
        )
        .await;
    site
}

/// Everything that a call could have changed.
async fn state(site: &Site) -> Value {
    let mut status = json!(site.status());
    for (within, name) in [
        ("", "uptime_s"),
        ("", "refused_calls"),
        // Counted by and by, of rows that are compared below.
        ("", "queue"),
        ("/sync", "queueSize"),
        ("/connectivity", "uptime"),
        ("/connectivity", "downtime"),
    ] {
        let part = status.pointer_mut(within).and_then(Value::as_object_mut);
        part.expect("a part").remove(name).expect(name);
    }
    let mut rows = Vec::new();
    for table in ["meter_readings", "quarantined_readings", "quarantine_audit"] {
        let ids = format!("SELECT id AS it FROM {table}");
        rows.push(site.database.column(&ids).await);
    }
    json!([status, rows, site.requests()])
}

fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(move |method| (method.clone(), path.clone()))
    });
    all.collect()
}

#[actix::test]
async fn every_route_answers_everybody_as_it_should_and_nothing_happens_where_it_refuses() {
    let site = site().await;
    let api = site.api();
    let description = api.request(Method::GET, "/openapi.json").bearer_auth(READ);
    let description: Value = description
        .send()
        .await
        .expect("an answer")
        .json()
        .limit(1 << 20)
        .await
        .expect("JSON");
    let table = ROUTES.map(|(method, path, ..)| (method.to_owned(), path.to_owned()));
    assert_eq!(described(&description), BTreeSet::from(table));

    let before = state(&site).await;
    let mut refusals = 0;
    for (method, path, door, _) in ROUTES {
        for who in ALL {
            let Some(expected) = refusal(who, door) else {
                continue;
            };
            // So that no wrong token is one too many.
            site.clock.advance(Duration::from_secs(1));
            let answer = sent(&api, who, method, path).await.expect("an answer");
            assert_eq!(answer.status(), expected, "{who:?}: {method} {path}");
            site.clock.advance(Duration::from_secs(1));
            refusals += as_head(&api, who, (method, path), expected).await;
            let allows = answer.headers().contains_key("access-control-allow-origin");
            assert_eq!(allows, who == Who::Neighbour, "{who:?}: {method} {path}");
            refusals += 1;
        }
        assert_eq!(state(&site).await, before, "{method} {path}");
    }
    let counted = json!(site.status().refused_calls);
    let numbers = counted.as_object().expect("numbers").values();
    let sum: u64 = numbers.filter_map(Value::as_u64).sum();
    assert_eq!(sum, refusals, "{counted}");

    for (method, path, door, status) in ROUTES {
        for who in ALL {
            // What changes something is done once.
            let is_once = matches!(door, Change) && who != Who::ControlToken;
            if refusal(who, door).is_some() || is_once {
                continue;
            }
            site.clock.advance(Duration::from_secs(1));
            let answer = sent(&api, who, method, path).await.expect("an answer");
            assert_eq!(answer.status(), status, "{who:?}: {method} {path}");
            as_head(&api, who, (method, path), status).await;
        }
    }
    assert_ne!(
        state(&site).await,
        before,
        "the table does change something"
    );
    site.finish().await;
}

/// What a page of this machine is answered where one setting opens what it looks at, and another closes what it changes.
#[actix::test]
async fn the_page_that_sites_have_is_let_in_to_its_own_calls_and_to_no_other() {
    let site = Plan::default()
        .setting("control_token", CONTROL)
        .setting("read_token", READ)
        .setting("frontend_without_token", "false")
        .setting("frontend_reads_without_token", "true")
        .start_settled(0)
        .await;
    let api = site.api();
    for (method, path, door, _) in ROUTES {
        let expected = match door {
            Open => continue,
            LookOfFrontend => 200,
            _ => 401,
        };
        let answer = sent(&api, Who::Neighbour, method, path).await;
        assert_eq!(
            answer.expect("an answer").status(),
            expected,
            "{method} {path}"
        );
    }
    site.finish().await;
}

#[actix::test]
async fn the_description_tells_which_token_is_needed() {
    let site = Plan::default().start_settled(0).await;
    let description = site.api().get("/openapi.json").await.body;
    for (method, path, door, _) in ROUTES {
        let security = &description["paths"][path][method]["security"];
        let ways = match door {
            Open => json!([]),
            Look | LookOfFrontend => json!([{}, {"control_token": []}, {"read_token": []}]),
            Change | ChangeOfFrontend => json!([{}, {"control_token": []}]),
        };
        assert_eq!(*security, ways, "{method} {path}");
    }
    let schemes = &description["components"]["securitySchemes"];
    for scheme in ["control_token", "read_token"] {
        assert_eq!(schemes[scheme]["type"], "http");
        assert_eq!(schemes[scheme]["scheme"], "bearer");
    }
    site.finish().await;
}
