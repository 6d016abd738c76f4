//! Requests that no route takes as they are.

use actix_web::http::Method;

use super::*;
use crate::control::testing::control;

#[actix_web::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    for uri in [
        "/nothing",
        "/api/v1/sync",
        "/status/",
        "/api/v1/quarantine/1/2",
    ] {
        get(control(|_| {}), uri).await.problem(404, "not-found");
    }
    let answer = ask(control(|_| {}), Method::PUT, "/api/v1/readings").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    post(control(|_| {}), "/status")
        .await
        .problem(405, "method-not-allowed");
}

#[actix_web::test]
async fn bad_queries_say_which_value_and_what_is_allowed() {
    for (uri, word) in [
        ("/api/v1/meters?limit=0", "limit"),
        ("/api/v1/meters?limit=1001", "1 to 1000"),
        ("/api/v1/meters?offset=-1", "offset"),
        ("/api/v1/meters?limit=1&limit=2", "more than once"),
        ("/api/v1/meters?limti=1", "limti"),
        ("/api/v1/sync/log?limit=ten", "ten"),
        ("/api/v1/sync/stats?hours=0", "hours"),
        ("/api/v1/readings?hours=1.5", "hours"),
        ("/api/v1/quarantine?reason=odd", "possibly_stored"),
        ("/api/v1/quarantine/one", "one"),
    ] {
        let problem = get(control(|_| {}), uri)
            .await
            .problem(400, "invalid-request");
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{problem}"
        );
    }
    for uri in [
        "/api/v1/sync/trigger?wait=yes",
        "/api/v1/sync/stop?now=true",
        "/api/v1/quarantine/requeue",
        "/api/v1/quarantine/requeue?all=true&meter=M",
    ] {
        post(control(|_| {}), uri)
            .await
            .problem(400, "invalid-request");
    }
    ask(control(|_| {}), Method::DELETE, "/api/v1/quarantine")
        .await
        .problem(400, "invalid-request");
}
