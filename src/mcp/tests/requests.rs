//! The transport: one request, one answer, in both eras of the protocol, and nothing for those who may not ask.

use actix_web::{
    App, HttpMessage,
    http::Method,
    test::{TestRequest, call_service, init_service, read_body},
};
use serde_json::{Value, json};

use crate::{control::testing::control, domain::access::Grant, mcp::Endpoint};

const EARLY: &str = "2025-11-25";
const LATE: &str = "2026-07-28";

struct Answer {
    status: u16,
    content_type: Option<String>,
    body: Value,
}

async fn send(request: TestRequest) -> Answer {
    send_as(Grant::Change, request).await
}

async fn send_as(grant: Grant, request: TestRequest) -> Answer {
    let endpoint = Endpoint::new(control(|_| ()));
    let app = init_service(App::new().configure(endpoint.routes())).await;
    let request = request.uri("/mcp").to_request();
    request.extensions_mut().insert(grant);
    let response = call_service(&app, request).await;
    let content_type = response.headers().get("content-type");
    let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let bytes = read_body(response).await;
    Answer {
        status,
        content_type,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn post() -> TestRequest {
    TestRequest::post()
        .insert_header(("host", "127.0.0.1:3002"))
        .insert_header(("accept", "application/json, text/event-stream"))
        .insert_header(("content-type", "application/json"))
}

fn early(method: &str, parameters: &Value) -> TestRequest {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    post()
        .insert_header(("mcp-protocol-version", EARLY))
        .set_payload(message.to_string())
}

fn late(method: &str, mut parameters: Value) -> TestRequest {
    let name = ["name", "uri"]
        .iter()
        .find_map(|key| parameters[*key].as_str());
    let mut request = post()
        .insert_header(("mcp-protocol-version", LATE))
        .insert_header(("mcp-method", method));
    if let Some(name) = name {
        request = request.insert_header(("mcp-name", name));
    }
    parameters["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": LATE,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    request.set_payload(message.to_string())
}

#[actix_web::test]
async fn requests_need_no_handshake_before_them() {
    for list in [
        early("tools/list", &json!({})),
        late("tools/list", json!({})),
    ] {
        let listed = send(list).await;
        assert_eq!(listed.status, 200, "{}", listed.body);
        let tools = listed.body["result"]["tools"].as_array().expect("a list");
        assert_eq!(tools.len(), 14);
    }
    let parameters = json!({ "name": "get_sync_stats", "arguments": { "hours": 1 } });
    for request in [
        early("tools/call", &parameters),
        late("tools/call", parameters.clone()),
    ] {
        let called = send(request).await;
        let stats = &called.body["result"]["structuredContent"];
        assert_eq!(stats["total_syncs"], 3, "{}", called.body);
    }
}

#[actix_web::test]
async fn whoever_may_look_only_calls_no_tool_that_changes_something() {
    let call = |name: &str| json!({ "name": name, "arguments": {} });
    let looked = send_as(Grant::Look, early("tools/call", &call("get_sync_stats"))).await;
    assert_eq!(looked.body["result"]["isError"], false, "{}", looked.body);
    for request in [
        early("tools/call", &call("stop_sync")),
        late("tools/call", call("stop_sync")),
    ] {
        let refused = send_as(Grant::Look, request).await;
        let result = &refused.body["result"];
        assert_eq!(result["isError"], true, "{}", refused.body);
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("problem:control-token-needed"), "{text}");
    }
    let listed = send(early("tools/list", &json!({}))).await;
    let tools = listed.body["result"]["tools"].as_array().unwrap();
    let looking = tools
        .iter()
        .filter(|tool| tool["annotations"]["readOnlyHint"] == true);
    assert_eq!(looking.count(), 6);
}

#[actix_web::test]
async fn the_handshake_tells_who_we_are() {
    let parameters = json!({
        "protocolVersion": EARLY,
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    let told = send(early("initialize", &parameters)).await;
    let result = &told.body["result"];
    assert_eq!(result["protocolVersion"], EARLY, "{}", told.body);
    assert_eq!(result["serverInfo"]["name"], "meterit-sync");
    assert!(result["instructions"].is_string());
    for capability in ["tools", "resources", "prompts"] {
        assert!(result["capabilities"][capability].is_object());
    }
    let discovered = send(late("server/discover", json!({}))).await;
    let versions = &discovered.body["result"]["supportedVersions"];
    assert!(versions.as_array().unwrap().contains(&json!(LATE)));
}

#[actix_web::test]
async fn resources_and_the_prompt_show_the_status() {
    let status = send(early(
        "resources/read",
        &json!({ "uri": "meterit://status" }),
    ))
    .await;
    let content = &status.body["result"]["contents"][0];
    assert_eq!(content["mimeType"], "application/json", "{}", status.body);
    let text: Value = serde_json::from_str(content["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["state"], "ok");
    let log = send(late("resources/read", json!({ "uri": "meterit://log" }))).await;
    let text = log.body["result"]["contents"][0]["text"].as_str().unwrap();
    assert_eq!(text, r#"{"items":[],"total":0}"#);
    let prompt = send(early("prompts/get", &json!({ "name": "diagnose_site" }))).await;
    let text = &prompt.body["result"]["messages"][0]["content"]["text"];
    assert!(text.as_str().unwrap().contains("\"state\": \"ok\""));
}

#[actix_web::test]
async fn what_is_not_there_is_a_protocol_error() {
    for (method, parameters) in [
        ("tools/call", json!({ "name": "open_door" })),
        ("prompts/get", json!({ "name": "open_door" })),
        ("resources/read", json!({ "uri": "meterit://door" })),
    ] {
        let refused = send(early(method, &parameters)).await;
        let words = refused.body["error"]["message"].as_str().unwrap();
        assert!(words.contains("door"), "{words}");
    }
}

#[actix_web::test]
async fn failures_of_the_transport_are_told() {
    let request = |method: Method| {
        TestRequest::default()
            .method(method)
            .insert_header(("host", "localhost"))
    };
    for (sent, status, kind) in [
        (request(Method::GET), 405, "method-not-allowed"),
        (request(Method::DELETE), 405, "method-not-allowed"),
        (
            post().insert_header(("accept", "text/html")),
            406,
            "not-acceptable",
        ),
        (
            post().insert_header(("content-type", "text/plain")),
            415,
            "unsupported-media-type",
        ),
        (post().set_payload("x".repeat(300_000)), 413, "too-large"),
    ] {
        let refused = send(sent).await;
        assert_eq!(refused.status, status, "{}", refused.body);
        let expected = format!("urn:meterit-sync:problem:{kind}");
        assert_eq!(refused.body["type"], expected);
        assert_eq!(refused.body["status"], status);
        let content_type = refused.content_type.as_deref();
        assert_eq!(content_type, Some("application/problem+json"));
    }
    for (body, code) in [("{", -32_700), ("[]", -32_600), ("{}", -32_600)] {
        let refused = send(post().set_payload(body)).await;
        assert_eq!(
            (refused.status, &refused.body["error"]["code"]),
            (400, &json!(code))
        );
    }
}
