//! What clients are told about the tools before they call any.

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

use super::*;

fn tool(name: &str) -> Tool {
    tools::all().find(name).expect("there is such a tool")
}

/// Every reference of a schema leads to one of its own definitions.
fn check_references(schema: &JsonObject, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref") {
                let target = target.as_str().expect("a text");
                assert!(target.starts_with("#/$defs/"), "{target}");
                schema_of(schema, target);
            }
            fields
                .values()
                .for_each(|value| check_references(schema, value));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| check_references(schema, value)),
        _ => {}
    }
}

#[test]
fn all_tools_of_the_contract_are_there() {
    let names: Vec<_> = tools::all()
        .shown()
        .into_iter()
        .map(|tool| tool.name.into_owned())
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "check_connectivity",
            "discard_quarantined",
            "download_config",
            "get_connectivity_status",
            "get_meter_status",
            "get_sync_stats",
            "get_sync_status",
            "list_quarantine",
            "query_meter_readings",
            "requeue_quarantined",
            "send_heartbeat",
            "start_sync",
            "stop_sync",
            "trigger_sync",
        ]
    );
}

#[test]
fn schemas_are_objects_that_need_nothing_from_elsewhere() {
    for tool in tools::all().shown() {
        let output = tool.output_schema.expect("an output schema");
        for schema in [&tool.input_schema, &output] {
            assert_eq!(schema["type"], "object", "{}", tool.name);
            check_references(schema, &Value::Object((**schema).clone()));
            let text = json!(schema).to_string();
            assert!(!text.contains("#/components"), "{text}");
        }
        assert_eq!(tool.input_schema["additionalProperties"], false);
        assert_eq!(tool.input_schema.get("required"), None, "{}", tool.name);
        assert!(tool.description.is_some_and(|text| text.len() > 20));
        assert!(tool.title.is_some());
    }
}

#[test]
fn bounds_and_defaults_are_told() {
    let readings = tool("query_meter_readings").input_schema;
    let field = |path: &str| schema_of(&readings, path).clone();
    assert_eq!(field("/properties/hours/default"), 24);
    assert_eq!(field("/properties/limit/default"), 100);
    assert_eq!(field("/properties/limit/minimum"), 1);
    assert_eq!(field("/properties/limit/maximum"), 1_000);
    assert_eq!(field("/properties/limit/type"), "integer");
    assert!(field("/properties/limit/description").is_string());
    let reasons = tool("list_quarantine").input_schema;
    let reasons = schema_of(&reasons, "/$defs/QuarantineReason/enum").clone();
    assert_eq!(reasons, json!(["refused", "unreadable", "possibly_stored"]));
}

#[test]
fn the_named_fields_of_the_contract_are_in_the_output_schemas() {
    for (name, fields) in [
        (
            "get_sync_status",
            "sync_status connectivity stats_24h recent_logs",
        ),
        (
            "trigger_sync",
            "success message queue_size_before queue_size_after last_sync_success",
        ),
        ("query_meter_readings", "count readings"),
        (
            "get_sync_stats",
            "total_syncs successful_syncs failed_syncs total_readings_synced success_rate",
        ),
    ] {
        let schema = tool(name).output_schema.expect("an output schema");
        for field in fields.split(' ') {
            schema_of(&schema, &format!("/properties/{field}"));
        }
    }
}

#[test]
fn annotations_say_what_a_tool_may_do() {
    let reading = "get_sync_status get_sync_stats get_connectivity_status query_meter_readings get_meter_status list_quarantine";
    let destroying = "discard_quarantined requeue_quarantined";
    let calling = "trigger_sync check_connectivity download_config send_heartbeat";
    for tool in tools::all().shown() {
        let is_in = |names: &str| Some(names.split(' ').any(|name| name == tool.name));
        let hints = tool.annotations.clone().expect("annotations");
        assert_eq!(hints.read_only_hint, is_in(reading), "{}", tool.name);
        assert_eq!(hints.destructive_hint, is_in(destroying), "{}", tool.name);
        assert_eq!(hints.open_world_hint, is_in(calling), "{}", tool.name);
        let is_idempotent = tool.name != "requeue_quarantined";
        assert_eq!(hints.idempotent_hint, Some(is_idempotent), "{}", tool.name);
    }
}
