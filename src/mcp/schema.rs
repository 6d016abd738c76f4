//! JSON Schema of the shapes that the API documents, self-contained, as the protocol wants it.

use std::sync::Arc;

use rmcp::model::JsonObject;
use serde_json::Value;
use utoipa::ToSchema;

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";
/// Names of OpenAPI's own for the width of a number. As JSON Schema some validators take `int32` at its word, which
/// is less than an unsigned field may hold.
const WIDTHS: [&str; 7] = [
    "u-int16", "u-int32", "u-int64", "int32", "int64", "float", "double",
];

/// The schema of a type, with everything that it refers to in `$defs`.
pub(super) fn of<T: ToSchema>() -> Arc<JsonObject> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let definitions: JsonObject = named
        .into_iter()
        .map(|(name, schema)| (name, adapted(serde_json::json!(schema))))
        .collect();
    let mut schema = match adapted(serde_json::json!(T::schema())) {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    if !definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Arc::new(schema)
}

/// Turns what only an OpenAPI document understands into JSON Schema.
fn adapted(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !is_width(name, value))
            .map(|(name, value)| {
                let value = match reference(&name, &value) {
                    Some(reference) => Value::String(reference),
                    None => adapted(value),
                };
                (name, value)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(adapted).collect(),
        other => other,
    }
}

fn is_width(name: &str, value: &Value) -> bool {
    name == "format" && value.as_str().is_some_and(|text| WIDTHS.contains(&text))
}

fn reference(name: &str, value: &Value) -> Option<String> {
    let target = value.as_str().filter(|_| name == "$ref")?;
    Some(format!("{DEFINITIONS}{}", target.strip_prefix(COMPONENTS)?))
}
