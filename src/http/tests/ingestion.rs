//! Storing readings.

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    control::{
        MOST_BYTES,
        testing::{answering, control, gone, silent},
    },
    domain::store::{Ingested, StoreError},
    messages::database_writer::InsertReadings,
};

const BODY: &str = r#"[{"meter_external_id":"M-1","timestamp":"2026-01-01T00:00:00Z","data_point":"power","value":1.50}]"#;

fn request(body: impl Into<actix_web::web::Bytes>) -> TestRequest {
    TestRequest::post()
        .uri("/api/v1/readings")
        .insert_header(("content-type", "application/json"))
        .set_payload(body)
}

fn lines(body: impl Into<actix_web::web::Bytes>) -> TestRequest {
    TestRequest::post()
        .uri("/api/v1/readings")
        .insert_header(("content-type", "application/x-ndjson; charset=utf-8"))
        .set_payload(body)
}

fn storing(result: Result<Ingested, StoreError>) -> Control {
    control(|parts| parts.insert_readings = answering(move |_| result.clone()))
}

fn ingested(repeated: bool) -> Result<Ingested, StoreError> {
    Ok(Ingested { count: 1, repeated })
}

#[actix_web::test]
async fn readings_and_key_reach_the_writer_unchanged() {
    let seen: Arc<Mutex<Vec<InsertReadings>>> = Arc::default();
    let control = control(|parts| {
        let seen = Arc::clone(&seen);
        parts.insert_readings = answering(move |message: InsertReadings| {
            seen.lock().unwrap().push(message);
            ingested(false)
        });
    });
    let keyed = request(BODY).insert_header(("Idempotency-Key", "k-1"));
    let answer = send(control.clone(), keyed).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.text, r#"{"stored":1}"#);

    let line = lines(BODY[1..BODY.len() - 1].to_owned());
    assert_eq!(send(control, line).await.status, 201);

    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].key.as_deref(), Some("k-1"));
    assert_eq!(seen[0].readings[0].value.as_str(), "1.50");
    assert_eq!(seen[1].key, None);
    assert_eq!(seen[1].readings, seen[0].readings);
}

#[actix_web::test]
async fn a_repetition_says_so() {
    let answer = send(storing(ingested(true)), request(BODY)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        serde_json::json!({ "stored": 1, "repeated": true })
    );
}

#[actix_web::test]
async fn failures_of_the_database_have_their_own_types() {
    for (error, status, name) in [
        (StoreError::Busy("x".into()), 503, "database-busy"),
        (StoreError::Full("x".into()), 507, "disk-full"),
        (
            StoreError::KeyReused("x".into()),
            409,
            "idempotency-key-reused",
        ),
        (StoreError::Failed("x".into()), 503, "database-unavailable"),
    ] {
        let answer = send(storing(Err(error)), request(BODY)).await;
        answer.problem(status, name);
        assert_eq!(
            answer.header("retry-after"),
            (name == "database-busy").then_some("1")
        );
    }
}

#[actix_web::test]
async fn a_writer_that_does_not_answer_leaves_it_open_and_says_how_to_go_on() {
    for (recipient, name) in [(gone(), "part-restarting"), (silent(), "part-silent")] {
        let control = control(|parts| parts.insert_readings = recipient);
        let answer = send(control, request(BODY)).await;
        let problem = answer.problem(503, name);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("Idempotency-Key")
        );
    }
}

#[actix_web::test]
async fn bad_readings_are_listed_by_index() {
    let body = format!("[{},{{}},17]", &BODY[1..BODY.len() - 1]);
    let problem = send(storing(ingested(false)), request(body))
        .await
        .problem(400, "invalid-readings");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2);
    assert_eq!(
        (&errors[0]["index"], &errors[1]["index"]),
        (&1.into(), &2.into())
    );
    assert!(problem.get("more_errors").is_none());

    let long = format!(r#"{{"{}":1}}"#, "a".repeat(1_000));
    let many = format!("[{}]", vec![long; 5_000].join(","));
    let problem = send(storing(ingested(false)), request(many))
        .await
        .problem(400, "invalid-readings");
    let listed = problem["errors"].as_array().unwrap().len() as u64;
    assert!(listed > 4_000, "{listed}");
    assert_eq!(problem["more_errors"], 5_000 - listed);
}

#[actix_web::test]
async fn a_large_body_is_parsed_as_well_and_a_larger_one_refused() {
    let one = &BODY[1..BODY.len() - 1];
    let large = format!("[{}]", vec![one; 5_000].join(","));
    assert_eq!(
        send(storing(ingested(false)), request(large)).await.status,
        201
    );
    let larger = vec![b' '; MOST_BYTES + 1];
    send(storing(ingested(false)), request(larger.clone()))
        .await
        .problem(413, "too-large");
    send(storing(ingested(false)), lines(larger))
        .await
        .problem(413, "too-large");
}

#[actix_web::test]
async fn lines_that_are_not_announced_are_refused_once_they_are_too_large() {
    let mut unannounced = lines(vec![b' '; MOST_BYTES + 1]).to_request();
    unannounced.headers_mut().remove("content-length");
    let app = init_service(App::new().configure(crate::http::configure(
        storing(ingested(false)),
        Metrics::new().unwrap(),
        open(),
        |_| (),
    )))
    .await;
    assert_eq!(call_service(&app, unannounced).await.status(), 413);
}

#[actix_web::test]
async fn faults_of_lines_are_told_as_those_of_an_array() {
    let good = &BODY[1..BODY.len() - 1];
    let problem = send(
        storing(ingested(false)),
        lines(format!("{good}\n\n{{}}\n17")),
    )
    .await
    .problem(400, "invalid-readings");
    let indexes: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["index"].clone())
        .collect();
    assert_eq!(indexes, [1, 2]);
    send(storing(ingested(false)), lines("\n"))
        .await
        .problem(400, "invalid-request");
    let keyed = lines(good).insert_header(("Idempotency-Key", "two words"));
    send(storing(ingested(false)), keyed)
        .await
        .problem(400, "invalid-request");
}

#[actix_web::test]
async fn malformed_and_foreign_bodies_are_refused() {
    send(storing(ingested(false)), request("[{"))
        .await
        .problem(400, "invalid-request");
    for (name, value) in [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-encoding", "gzip"),
    ] {
        let request = request(BODY).insert_header((name, value));
        send(storing(ingested(false)), request)
            .await
            .problem(415, "unsupported-media-type");
    }
    for key in ["", "two words"] {
        let request = request(BODY).insert_header(("Idempotency-Key", key));
        send(storing(ingested(false)), request)
            .await
            .problem(400, "invalid-request");
    }
}

#[actix_web::test]
async fn the_requests_span_travels_to_the_writer() {
    use tracing_subscriber::util::SubscriberInitExt;
    let _log = tracing_subscriber::registry().set_default();
    let seen: Arc<Mutex<Option<tracing::Span>>> = Arc::default();
    let control = control(|parts| {
        let seen = Arc::clone(&seen);
        parts.insert_readings = answering(move |message: InsertReadings| {
            *seen.lock().unwrap() = Some(message.span);
            ingested(false)
        });
    });
    let app = init_service(
        App::new()
            .wrap(tracing_actix_web::TracingLogger::<crate::http::RequestSpan>::new())
            .configure(crate::http::configure(
                control,
                Metrics::new().unwrap(),
                open(),
                |_| (),
            )),
    )
    .await;
    let response = call_service(&app, request(BODY).to_request()).await;
    assert_eq!(response.status(), 201);
    let span = seen.lock().unwrap().take().unwrap();
    assert_eq!(
        span.metadata().map(|span| span.name()),
        Some("HTTP request")
    );
}
