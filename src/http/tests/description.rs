//! The description of the local API: it can be read by others, and says no more and no less than what is served.

use std::collections::BTreeSet;

use super::*;
use crate::control::testing::control;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

async fn document() -> Value {
    get(control(|_| {}), "/openapi.json").await.json()
}

/// Path, method and operation of all that is described.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            operations.map(move |(method, operation)| (path, method, operation))
        })
        .collect()
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get("$ref") {
                found.insert(target.clone());
            }
            for member in members.values() {
                references(member, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                references(item, found);
            }
        }
        _ => {}
    }
}

#[actix_web::test]
async fn it_is_openapi_3_1_and_refers_only_to_what_it_holds() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
}

#[actix_web::test]
async fn every_operation_has_a_name_of_its_own_and_says_what_it_does_and_answers() {
    let document = document().await;
    let known_tags: Vec<&Value> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| &tag["name"])
        .collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let name = operation["operationId"].as_str().expect(&place);
        assert!(names.insert(name.to_owned()), "{name}");
        assert!(operation["summary"].is_string(), "{place}");
        for tag in operation["tags"].as_array().expect(&place) {
            assert!(known_tags.contains(&tag), "{place}: {tag}");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["description"].is_string(), "{place} {status}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let words = parameter["description"].as_str().unwrap_or_default();
            assert!(!words.is_empty(), "{place} {parameter}");
        }
    }
}

#[actix_web::test]
async fn what_is_described_is_served_and_what_is_not_is_refused() {
    let document = document().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        // Both are served by others, which have tests of their own.
        if ["/mcp", "/docs/"].contains(&path.as_str()) {
            continue;
        }
        let uri = path.replace("{id}", "1");
        let described: BTreeSet<&str> = item
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        // Wherever GET is, and told nowhere.
        let head = described.contains("get").then_some("head");
        let served: BTreeSet<&str> = described.iter().copied().chain(head).collect();
        for method in METHODS {
            if (method, path.as_str()) == ("get", "/api/v1/events") {
                // Its answer has no end; another test looks at it.
                continue;
            }
            let named = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = ask(control(|_| {}), named, &uri).await;
            let lost = answer.text.contains("no route has the path");
            assert!(!lost, "{method} {path}: {}", answer.text);
            assert_eq!(
                answer.status.as_u16() == 405,
                !served.contains(method),
                "{method} {path}: {}",
                answer.status
            );
            if answer.status.as_u16() == 405 {
                let allowed = answer.header("allow").unwrap().to_lowercase();
                assert_eq!(allowed.split(", ").collect::<BTreeSet<_>>(), served);
            }
        }
    }
}

#[actix_web::test]
async fn the_page_for_people_asks_nobody_else() {
    let redirect = get(control(|_| {}), "/docs").await;
    assert_eq!(redirect.header("location"), Some("/docs/"));
    let page = get(control(|_| {}), "/docs/").await;
    assert_eq!(page.status.as_u16(), 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("http"), "{policy}");
    let script = get(control(|_| {}), "/docs/swagger-initializer.js").await;
    assert!(script.text.contains(r#""url": "/openapi.json""#));
    assert!(script.text.contains(r#""validatorUrl": "none""#));
}
