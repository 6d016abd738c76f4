//! The control API under `/_simulator`: the ledger, the script of faults and outages, for people with curl
//! and for tests in other languages.
//!
//! An outage closes this port too: give it `seconds`, or use a control port of its own.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    fault::{FaultRule, FaultScript},
    server::Command,
    state::{ServedConfiguration, Shared},
};

type Data = web::Data<Shared>;

/// How long an outage that was asked for over its own port waits, so that the answer gets out.
const TIME_TO_ANSWER: Duration = Duration::from_millis(50);

/// Mounts the control API.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::scope("/_simulator")
            .app_data(
                web::JsonConfig::default()
                    .limit(1024 * 1024)
                    .content_type_required(false),
            )
            .route("/ledger", web::get().to(ledger))
            .route("/batches", web::get().to(batches))
            .route("/heartbeats", web::get().to(heartbeats))
            .route("/faults", web::get().to(faults))
            .route("/faults", web::put().to(set_faults))
            .route("/faults", web::post().to(add_faults))
            .route("/faults", web::delete().to(clear_faults))
            .route("/config", web::put().to(set_configuration))
            .route("/down", web::post().to(down))
            .route("/up", web::post().to(up))
            .route("/reset", web::post().to(reset)),
    );
}

async fn ledger(shared: Data) -> HttpResponse {
    HttpResponse::Ok().json(shared.state().ledger.summary())
}

#[derive(Deserialize)]
struct Page {
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    offset: usize,
}

fn default_limit() -> usize {
    100
}

async fn batches(shared: Data, page: web::Query<Page>) -> HttpResponse {
    let state = shared.state();
    let all = state.ledger.batches();
    let items: Vec<_> = all.iter().skip(page.offset).take(page.limit).collect();
    HttpResponse::Ok().json(json!({"total": all.len(), "items": items}))
}

async fn heartbeats(shared: Data, page: web::Query<Page>) -> HttpResponse {
    let state = shared.state();
    let all = state.ledger.heartbeats();
    let items: Vec<_> = all.iter().skip(page.offset).take(page.limit).collect();
    HttpResponse::Ok().json(json!({"total": all.len(), "items": items}))
}

async fn faults(shared: Data) -> HttpResponse {
    let rules = shared.state().script.rules();
    let items: Vec<Value> = rules
        .iter()
        .map(|(rule, used)| json!({"rule": rule, "used": used}))
        .collect();
    HttpResponse::Ok().json(json!({"total": items.len(), "items": items}))
}

/// One rule, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<FaultRule>),
    One(Box<FaultRule>),
}

impl Rules {
    fn into_vec(self) -> Vec<FaultRule> {
        match self {
            Self::Many(rules) => rules,
            Self::One(rule) => vec![*rule],
        }
    }
}

async fn set_faults(shared: Data, rules: web::Json<Rules>) -> HttpResponse {
    shared.state().script = FaultScript::new(rules.into_inner().into_vec());
    HttpResponse::NoContent().finish()
}

async fn add_faults(shared: Data, rules: web::Json<Rules>) -> HttpResponse {
    let mut state = shared.state();
    rules
        .into_inner()
        .into_vec()
        .into_iter()
        .for_each(|rule| state.script.add(rule));
    HttpResponse::NoContent().finish()
}

async fn clear_faults(shared: Data) -> HttpResponse {
    shared.state().script = FaultScript::default();
    HttpResponse::NoContent().finish()
}

async fn set_configuration(
    shared: Data,
    configuration: web::Json<ServedConfiguration>,
) -> HttpResponse {
    shared.state().configuration = configuration.into_inner();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
struct Outage {
    seconds: Option<f64>,
}

async fn down(shared: Data, outage: web::Query<Outage>) -> HttpResponse {
    let duration = outage.seconds.map(Duration::try_from_secs_f64).transpose();
    let Ok(duration) = duration else {
        return HttpResponse::BadRequest()
            .json(json!({"message": "seconds must be a positive number"}));
    };
    let commands = shared.commands.clone();
    actix_web::rt::spawn(async move {
        tokio::time::sleep(TIME_TO_ANSWER).await;
        // The simulator may have been stopped in the meantime.
        let _ = commands.send(Command::Down {
            duration,
            done: None,
        });
    });
    HttpResponse::Accepted().json(json!({"down": true, "seconds": outage.seconds}))
}

async fn up(shared: Data) -> HttpResponse {
    // A simulator that is being stopped needs no port.
    let _ = shared.commands.send(Command::Up { done: None });
    HttpResponse::Accepted().json(json!({"down": false}))
}

async fn reset(shared: Data) -> HttpResponse {
    shared.state().reset();
    HttpResponse::NoContent().finish()
}
