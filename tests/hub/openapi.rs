//! The OpenAPI document: every word of it, and that none of its operations is described by half.

use crate::harness::*;

/// Methods of HTTP that a path of the document can have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

on_both_databases! { the_hub_serves_what_the_program_prints }

fn printed() -> Value {
    let outcome = cli(&["openapi"]);
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    serde_json::from_slice(&outcome.stdout).unwrap()
}

async fn the_hub_serves_what_the_program_prints(hub: TestHub) {
    assert_eq!(hub.anonymous().get("/openapi.json").await.ok(), printed());
}

#[test]
fn the_document_changes_knowingly() {
    insta::assert_json_snapshot!("document", printed(), { ".info.version" => "[version]" });
}

#[test]
fn every_operation_is_described_with_examples() {
    let document = printed();
    let groups: Vec<String> = document["tags"].as_array().unwrap().iter().map(|tag| tag.text("name")).collect();
    let mut problems = Vec::new();
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            count += 1;
            problems.extend(lacks(operation, &groups).iter().map(|lack| format!("{method} {path}: {lack}")));
        }
    }
    assert!(count > 90, "{count} operations");
    assert!(problems.is_empty(), "{problems:#?}");
}

/// What an operation does not say.
fn lacks(operation: &Value, groups: &[String]) -> Vec<String> {
    let mut lacks = Vec::new();
    let mut need = |is_there: bool, what: &str| {
        if !is_there {
            lacks.push(format!("no {what}"));
        }
    };
    need(operation["summary"].as_str().is_some_and(|text| !text.is_empty() && !text.ends_with('.')), "summary");
    need(operation["tags"][0].as_str().is_some_and(|tag| groups.iter().any(|group| group == tag)), "known tag");
    let responses = operation["responses"].as_object().unwrap();
    let good = || responses.iter().filter(|(status, _)| status.starts_with(['2', '3']));
    need(good().next().is_some(), "good response");
    for (status, response) in good().chain(responses.get_key_value("default")) {
        need(response["description"].as_str().is_some_and(|text| !text.is_empty()), "description of a response");
        let has_body = !matches!(status.as_str(), "204" | "206" | "302" | "304");
        need(has_body == response["content"].is_object(), "content where there should be, or some where not");
        need(has_examples(&response["content"]), "example of a response");
    }
    if let Some(body) = operation.get("requestBody") {
        need(body["content"].is_object() && has_examples(&body["content"]), "example of the body");
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let is_shown = parameter["in"] != "path" || !parameter["example"].is_null();
        need(is_shown, &format!("example of {}", parameter["name"]));
    }
    lacks
}

/// Whether each kind of content has an example that says something.
fn has_examples(content: &Value) -> bool {
    let says = |kind: &Value| match &kind["example"] {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    let several = |kind: &Value| kind["examples"].as_object().is_some_and(|examples| !examples.is_empty());
    content.as_object().into_iter().flatten().all(|(_, kind)| says(kind) || several(kind))
}
