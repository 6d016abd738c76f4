//! The calls of the API as the deployed server answers them when nothing is wrong with the network.

use actix_web::http::Method;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::{
    answer::Answer,
    database::{self, Insertion},
    exchange::Exchange,
    fault::{FaultPath, PartialFault},
    ledger::{Heartbeat, hash_of},
    reading::{FieldError, Reading, Refusal},
    state::{Deduplication, ServedConfiguration, Site, State},
};

/// The call that a request makes; `None` for whatever the server has no route for.
pub(super) fn call_of(method: &Method, path: &str) -> Option<FaultPath> {
    match (method.as_str(), path) {
        ("GET", "/api/health") => Some(FaultPath::Health),
        ("POST", "/api/sync/auth") => Some(FaultPath::Auth),
        ("POST", "/api/sync/readings/batch") => Some(FaultPath::Batch),
        ("GET", "/api/sync/config") => Some(FaultPath::Config),
        ("POST", "/api/sync/heartbeat") => Some(FaultPath::Heartbeat),
        _ => None,
    }
}

/// A scripted failure of rows: the rows, and how the server words it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailingRows<'a> {
    pub rows: &'a [usize],
    pub fault: &'a PartialFault,
}

impl Exchange {
    /// Does what the deployed server does with this request, commit included.
    pub(super) fn process(&self, failing: Option<FailingRows<'_>>) -> Answer {
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        let mut state = self.shared.state();
        if self.call != Some(FaultPath::Health)
            && self.api_key.as_deref() != Some(state.api_key.as_str())
        {
            return Answer::json(
                401,
                &json!({"success": false, "message": "Invalid API key"}),
            );
        }
        match self.call {
            Some(FaultPath::Health) => Answer::json(200, &json!({"status": "OK"})),
            Some(FaultPath::Auth) => authenticated(&state.site),
            Some(FaultPath::Batch) => match &self.batch {
                Ok(readings) => self.store_once(&mut state, readings, failing),
                Err(refusal) => refused(refusal),
            },
            Some(FaultPath::Config) => configuration(&state.site, &state.configuration),
            Some(FaultPath::Heartbeat) => self.heartbeat(&mut state),
            Some(FaultPath::Any) | None => {
                Answer::html(404, &format!("Cannot {} {}", self.method, self.path))
            }
        }
    }

    fn store_once(
        &self,
        state: &mut State,
        readings: &[Reading],
        failing: Option<FailingRows<'_>>,
    ) -> Answer {
        let key = self
            .key
            .as_ref()
            .filter(|_| state.deduplication != Deduplication::Off);
        let Some(key) = key else {
            return self.store(state, readings, failing).1;
        };
        let hash = hash_of(&self.body);
        if let Some((known_hash, answer)) = state.answered.get(key) {
            return repeated(state.deduplication, *known_hash == hash, answer);
        }
        let (insertion, answer) = self.store(state, readings, failing);
        if !insertion.stored.is_empty() {
            state.answered.insert(key.clone(), (hash, answer.clone()));
        }
        answer
    }

    fn store(
        &self,
        state: &mut State,
        readings: &[Reading],
        failing: Option<FailingRows<'_>>,
    ) -> (Insertion, Answer) {
        let rollback = failing
            .and_then(|failing| failing.fault.rollback)
            .unwrap_or(state.rollback);
        let insertion = database::insert(readings, rollback, |row, reading| {
            row_failure(state, failing, row, reading)
        });
        if let Some(sequence) = self.sequence {
            state.ledger.stored(
                sequence,
                readings,
                &insertion.stored,
                self.shared.keep_readings,
            );
        }
        let hide_errors = failing.is_some_and(|failing| failing.fault.hide_errors);
        let answer = Answer::json(200, &insertion.to_json(hide_errors));
        (insertion, answer)
    }

    fn heartbeat(&self, state: &mut State) -> Answer {
        let at = self.shared.clock.now();
        let body = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        state.ledger.heartbeat(Heartbeat { at, body });
        let server_time = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        Answer::json(
            200,
            &json!({"success": true, "message": "Heartbeat received", "server_time": server_time}),
        )
    }
}

fn row_failure(
    state: &State,
    failing: Option<FailingRows<'_>>,
    row: usize,
    reading: &Reading,
) -> Option<String> {
    if let Some(failing) = failing.filter(|failing| failing.rows.contains(&row)) {
        return Some(database::scripted_failure(&failing.fault.error));
    }
    if state.failing_meters.contains(&reading.meter) {
        return Some(
            "insert or update on table \"meter_readings\" violates foreign key constraint \
             \"meter_readings_meter_id_fkey\""
                .to_owned(),
        );
    }
    database::column_failure(reading)
}

fn authenticated(site: &Site) -> Answer {
    Answer::json(
        200,
        &json!({"success": true, "message": "Authentication successful", "site": site}),
    )
}

fn configuration(site: &Site, configuration: &ServedConfiguration) -> Answer {
    if configuration.meters_only {
        return Answer::json(
            200,
            &json!({"success": true, "meters": configuration.meters}),
        );
    }
    let body = json!({
        "success": true,
        "config": {
            "site": site,
            "meters": configuration.meters,
            "sync_interval_minutes": configuration.sync_interval_minutes,
            "batch_size": configuration.batch_size,
        },
    });
    Answer::json(200, &body)
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Syntax(words) => Answer::html(400, &format!("SyntaxError: {words}")),
        Refusal::Fields(errors) => {
            let errors: Vec<Value> = errors.iter().map(FieldError::to_json).collect();
            Answer::validation_error(&errors)
        }
    }
}

fn repeated(deduplication: Deduplication, same_body: bool, first: &Answer) -> Answer {
    if !same_body {
        let message = "Idempotency-Key was already used with a different body";
        return Answer::json(422, &json!({"success": false, "message": message}));
    }
    if deduplication == Deduplication::NothingInserted {
        let nothing = Insertion {
            inserted: 0,
            errors: Vec::new(),
            stored: Vec::new(),
        };
        return Answer::json(200, &nothing.to_json(false));
    }
    first.clone()
}

/// The body of a success that never happened, for faults that lie about one.
pub(super) fn pretended_success(readings: usize) -> Answer {
    let rows = (0..readings).collect();
    let insertion = Insertion {
        inserted: readings,
        errors: Vec::new(),
        stored: rows,
    };
    Answer::json(200, &insertion.to_json(false))
}
