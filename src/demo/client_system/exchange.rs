//! One request from its arrival to its answer: counted, limited, struck by scripted faults, processed and
//! entered in the ledger.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{self, Bytes},
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Delivery},
    body::{self, Unreadable},
    calls::{FailingRows, call_of, pretended_success},
    connection::Connection,
    fault::{FaultAction, FaultPath, Naming, PlannedFault},
    ledger::Arrival,
    rate_limit::Allowance,
    reading::{FieldError, Reading, Refusal, parse_batch},
    state::Shared,
};

/// A request whose body has arrived.
pub(super) struct Exchange {
    pub shared: Arc<Shared>,
    pub connection: Option<Arc<Connection>>,
    pub call: Option<FaultPath>,
    pub method: Method,
    pub path: String,
    pub api_key: Option<String>,
    pub key: Option<String>,
    pub body: Bytes,
    /// The answer that the body alone has earned: too large, an unknown encoding, no JSON.
    pub refused: Option<Answer>,
    /// The readings of a batch; nothing to speak of for any other call.
    pub batch: Result<Vec<Reading>, Refusal>,
    /// The batch's number in the ledger.
    pub sequence: Option<u64>,
}

/// Answers one request, in whatever way the script wants it.
pub(super) async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let shared = shared.into_inner();
    shared.state().ledger.count_request(request.path());
    let connection = request.conn_data::<Arc<Connection>>().cloned();
    let key = text_header(&request, "Idempotency-Key");
    let open = key
        .as_deref()
        .zip(connection.as_ref())
        .map(|(key, connection)| shared.open.enter(key, connection));
    let body = match body::read(&request, payload, shared.zstd).await {
        Ok(body) => (body, None),
        Err(Unreadable::Refused(answer, body)) => (body, Some(answer)),
        Err(Unreadable::Interrupted) => return Delivery::Close.into_response(None),
    };
    let mut exchange = Exchange::new(shared, &request, connection, key, body);
    exchange.enter_in_ledger(
        body::encoding(&request),
        open.as_ref().map_or(1, |open| open.open_with_key),
    );
    let delivery = exchange.run().await;
    drop(open);
    delivery.into_response(exchange.connection.as_ref())
}

fn text_header(request: &HttpRequest, name: &str) -> Option<String> {
    request
        .headers()
        .get(name)?
        .to_str()
        .ok()
        .map(str::to_owned)
}

impl Exchange {
    fn new(
        shared: Arc<Shared>,
        request: &HttpRequest,
        connection: Option<Arc<Connection>>,
        key: Option<String>,
        (body, refused): (Bytes, Option<Answer>),
    ) -> Self {
        let call = call_of(request.method(), request.path());
        let text = json_text(request, &body);
        let (batch, syntax_error) = match (call, &refused) {
            (Some(FaultPath::Batch), None) => syntax_apart(parse_batch(&text)),
            _ => (Ok(Vec::new()), None),
        };
        Self {
            shared,
            connection,
            call,
            method: request.method().clone(),
            path: request.path().to_owned(),
            api_key: text_header(request, "X-API-Key"),
            key,
            body,
            refused: refused.or(syntax_error),
            batch,
            sequence: None,
        }
    }

    fn readings(&self) -> Option<&[Reading]> {
        self.batch.as_deref().ok()
    }

    fn enter_in_ledger(&mut self, encoding: Option<&str>, open_with_key: usize) {
        if self.call != Some(FaultPath::Batch) {
            return;
        }
        let arrival = Arrival {
            at: self.shared.clock.now(),
            key: self.key.as_deref(),
            body: &self.body,
            encoding,
            readings: self.readings().map_or(0, <[_]>::len),
            open_with_key,
        };
        self.sequence = Some(self.shared.state().ledger.batch_arrived(&arrival));
    }

    async fn run(&self) -> Delivery {
        let allowance = self.count_against_limit();
        let (delivery, fault) = match allowance
            .as_ref()
            .and_then(|allowance| allowance.retry_after)
        {
            Some(_) => (
                Delivery::Whole(Answer::html(
                    429,
                    "Too many requests, please try again later.",
                )),
                None,
            ),
            None => self.run_script().await,
        };
        let delivery = match (delivery, allowance) {
            (Delivery::Whole(answer), Some(allowance)) => {
                Delivery::Whole(answer.with_headers(allowance.headers()))
            }
            (delivery, _) => delivery,
        };
        let delivery = match delivery {
            Delivery::Whole(answer) if self.shared.zstd => Delivery::Whole(
                answer.with_headers([("Accept-Encoding".to_owned(), "gzip, zstd".to_owned())]),
            ),
            delivery => delivery,
        };
        self.note_answer(&delivery, fault);
        delivery
    }

    fn count_against_limit(&self) -> Option<Allowance> {
        let is_limited = self.path.starts_with("/api/");
        is_limited
            .then(|| self.shared.state().limiter.count(&self.shared.clock))
            .flatten()
    }

    async fn run_script(&self) -> (Delivery, Option<&'static str>) {
        let plan = match self.call {
            Some(call) => self.shared.state().script.plan(call, self.readings()),
            None => Default::default(),
        };
        let fault = plan.fault.as_ref().map(|fault| fault.action.name());
        self.wait(Duration::from_millis(plan.delay_before)).await;
        self.wait(self.shared.time_per_reading * self.readings().map_or(0, <[_]>::len) as u32)
            .await;
        let delivery = match plan.fault {
            Some(fault) => self.suffer(&fault).await,
            None => Delivery::Whole(self.process(None)),
        };
        self.wait(Duration::from_millis(plan.delay_after)).await;
        (delivery, fault)
    }

    async fn wait(&self, duration: Duration) {
        if !duration.is_zero() {
            self.shared.clock.sleep(duration).await;
        }
    }

    async fn suffer(&self, fault: &PlannedFault) -> Delivery {
        let committed = fault.commit.then(|| self.process(None));
        match &fault.action {
            FaultAction::Answer {
                status,
                headers,
                body,
            } => Delivery::Whole(Answer::scripted(*status, headers, body)),
            FaultAction::Delay { .. } => {
                Delivery::Whole(committed.unwrap_or_else(|| self.process(None)))
            }
            FaultAction::Reset => Delivery::Reset,
            FaultAction::Close => Delivery::Close,
            FaultAction::Truncate { keep_bytes } => {
                let readings = self.readings().map_or(0, <[_]>::len);
                Delivery::Truncated(
                    committed.unwrap_or_else(|| pretended_success(readings)),
                    *keep_bytes,
                )
            }
            FaultAction::Garbage => {
                Delivery::Whole(Answer::scripted(200, &[], "}{ this is \u{0} no JSON"))
            }
            FaultAction::Unsuccessful => {
                Delivery::Whole(Answer::json(200, &json!({"success": false})))
            }
            FaultAction::Partial(partial) => {
                let rows = if partial.rows.is_empty() {
                    &fault.rows
                } else {
                    &partial.rows
                };
                Delivery::Whole(self.process(Some(FailingRows {
                    rows,
                    fault: partial,
                })))
            }
            FaultAction::Refuse { naming } => Delivery::Whole(refusal_naming(*naming, &fault.rows)),
            FaultAction::Gigantic { bytes } => Delivery::Gigantic(*bytes),
            FaultAction::Bomb { bytes } => Delivery::Whole(Answer::bomb(*bytes)),
            FaultAction::Drip { milliseconds } => {
                Delivery::Drip(Duration::from_millis(*milliseconds))
            }
            FaultAction::Hang => {
                self.hang().await;
                Delivery::Close
            }
        }
    }

    async fn hang(&self) {
        let Some(connection) = &self.connection else {
            return;
        };
        while !connection.is_closed_by_peer() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn note_answer(&self, delivery: &Delivery, fault: Option<&'static str>) {
        let Some(sequence) = self.sequence else {
            return;
        };
        let mut state = self.shared.state();
        let Some(batch) = state.ledger.batch(sequence) else {
            return;
        };
        batch.status = delivery.status();
        batch.fault = fault;
        batch.answer = match delivery {
            Delivery::Whole(answer) | Delivery::Truncated(answer, _) => Some(answer.excerpt()),
            Delivery::Gigantic(_) | Delivery::Drip(_) | Delivery::Reset | Delivery::Close => None,
        };
    }
}

impl Allowance {
    fn headers(&self) -> Vec<(String, String)> {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            header("X-RateLimit-Limit", self.limit.to_string()),
            header("X-RateLimit-Remaining", self.remaining.to_string()),
            header("X-RateLimit-Reset", self.reset.timestamp().to_string()),
            header(
                "Date",
                self.now.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            ),
        ];
        headers.extend(
            self.retry_after
                .map(|seconds| header("Retry-After", seconds.to_string())),
        );
        headers
    }
}

/// The body as Express sees it: empty, or not declared as JSON, it is an empty object.
fn json_text(request: &HttpRequest, body: &[u8]) -> String {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_json = content_type
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/json"));
    if is_json && !body.is_empty() {
        String::from_utf8_lossy(body).into_owned()
    } else {
        "{}".to_owned()
    }
}

/// A syntax error is found by the body parser, before the API key is looked at; broken fields only after.
fn syntax_apart(
    batch: Result<Vec<Reading>, Refusal>,
) -> (Result<Vec<Reading>, Refusal>, Option<Answer>) {
    match batch {
        Err(Refusal::Syntax(words)) => (
            Ok(Vec::new()),
            Some(Answer::html(400, &format!("SyntaxError: {words}"))),
        ),
        batch => (batch, None),
    }
}

fn refusal_naming(naming: Naming, rows: &[usize]) -> Answer {
    let named = match naming {
        Naming::Every => rows,
        Naming::First => &rows[..rows.len().min(1)],
        Naming::Nothing => &[],
    };
    let errors: Vec<Value> = named
        .iter()
        .map(|row| FieldError::on_reading(*row).to_json())
        .collect();
    Answer::validation_error(&errors)
}
