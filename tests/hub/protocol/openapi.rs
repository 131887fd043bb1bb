//! The OpenAPI document: every word of it, that none of its operations is described by half, and that it is typed.
//!
//! That it is true is seen elsewhere: `harness::document` holds every answer of every test against it.

use std::collections::BTreeSet;

use hxa_connect::features::FEATURES;
use hxa_connect::web::{Feature, Features};

use crate::harness::*;

/// Methods of HTTP that a path of the document can have.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Fields that may be absent and may be null.
const ABSENT_OR_NULL: [&str; 1] = ["EventThreadParticipant.label"];

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

/// The operations: `METHOD /path` and what is said of it.
fn operations() -> Vec<(String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'static Value)| -> Vec<_> {
        let methods = methods.as_object().unwrap();
        methods.iter().map(|(method, operation)| (format!("{} {path}", method.to_uppercase()), operation)).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Generators name functions after them: one that changes breaks every client that was generated before.
#[test]
fn operation_ids_are_unique_and_stay() {
    let ids: Vec<(String, String)> =
        operations().iter().map(|(route, op)| (op.text("operationId"), route.clone())).collect();
    let unique: BTreeSet<&String> = ids.iter().map(|(id, _)| id).collect();
    assert_eq!(unique.len(), ids.len(), "{ids:#?}");
    let is_plain =
        |id: &String| id.contains('_') && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    assert!(unique.iter().all(|id| is_plain(id)), "{unique:#?}");
    let lines: BTreeSet<String> = ids.iter().map(|(id, route)| format!("{id}: {route}")).collect();
    insta::assert_snapshot!("operation_ids", lines.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Calls `look` with every schema below this one and its place.
fn each_schema(place: &str, schema: &Value, look: &mut dyn FnMut(&str, &Value)) {
    look(place, schema);
    let mut go = |name: &str, schema: &Value| each_schema(&format!("{place}.{name}"), schema, look);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        go(name, field);
    }
    for rule in ["oneOf", "anyOf", "allOf"] {
        for (at, part) in schema[rule].as_array().into_iter().flatten().enumerate() {
            go(&format!("{rule}{at}"), part);
        }
    }
    for rule in ["items", "additionalProperties"] {
        if let Some(part) = schema.get(rule) {
            go(rule, part);
        }
    }
}

/// Every schema of the components and of the responses.
fn each_answer_schema(look: &mut dyn FnMut(&str, &Value)) {
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        each_schema(name, schema, look);
    }
    for (route, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (kind, content) in response["content"].as_object().into_iter().flatten() {
                each_schema(&format!("{route} {status} {kind}"), &content["schema"], look);
            }
        }
    }
}

/// Free JSON is `Json`; everything else says what it is.
#[test]
fn no_schema_is_empty() {
    let mut empty = Vec::new();
    each_answer_schema(&mut |place, schema| {
        let says =
            ["$ref", "oneOf", "anyOf", "allOf", "enum", "type", "items"].iter().any(|rule| schema.get(rule).is_some());
        let is_vague = schema["type"] == "object"
            && schema.get("properties").is_none()
            && schema.get("additionalProperties").is_none();
        if !says || is_vague {
            empty.push(format!("{place}: {schema}"));
        }
    });
    assert!(empty.is_empty(), "{empty:#?}");
}

/// An answer has all its keys: one that may be null is there, and one that may be absent is not null.
#[test]
fn a_field_may_be_null_or_absent_but_not_both() {
    let mut both = Vec::new();
    let schemas = document()["components"]["schemas"].as_object().unwrap();
    let requests = request_schemas();
    for (name, schema) in schemas.iter().filter(|(name, _)| !requests.contains(*name)) {
        each_schema(name, schema, &mut |place, schema| {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (field, described) in schema["properties"].as_object().into_iter().flatten() {
                let is_null = |schema: &Value| {
                    schema["type"] == "null"
                        || schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
                };
                let may_be_null =
                    is_null(described) || described["oneOf"].as_array().is_some_and(|any| any.iter().any(is_null));
                if may_be_null && !required.contains(&json!(field)) {
                    both.push(format!("{place}.{field}"));
                }
            }
        });
    }
    both.retain(|field| !ABSENT_OR_NULL.contains(&field.as_str()));
    assert!(both.is_empty(), "{both:#?}");
}

/// The names of schemas that only requests use.
fn request_schemas() -> BTreeSet<String> {
    let schemas = &document()["components"]["schemas"];
    let mut open: Vec<String> = vec!["Event".to_owned(), "Error".to_owned()];
    let referred = |schema: &Value, found: &mut Vec<String>| {
        each_schema("", schema, &mut |_, schema| {
            let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/schemas/"));
            found.extend(name.map(str::to_owned));
        });
    };
    for (_, operation) in operations() {
        for (_, response) in operation["responses"].as_object().unwrap() {
            referred(&response["content"]["application/json"]["schema"], &mut open);
        }
    }
    let mut answers = BTreeSet::new();
    while let Some(name) = open.pop() {
        referred(&schemas[&name], &mut open);
        answers.insert(name.clone());
        open.retain(|name| !answers.contains(name));
    }
    let all = schemas.as_object().unwrap().keys();
    all.filter(|name| !answers.contains(*name)).cloned().collect()
}

/// Two types under one name would make one of them describe the other's answers.
#[test]
fn features_name_their_own_schemas() {
    let schemas = |features: &Features| features.document().components.clone().unwrap_or_default().schemas;
    let whole = schemas(&FEATURES);
    // Every event is in the list of all of them.
    let is_shared = |name: &str| ["Event", "Error"].contains(&name);
    for feature in FEATURES.iter() {
        let alone: &'static [Feature] = Box::leak(Box::new([*feature]));
        for (name, schema) in schemas(&Features::new(alone)) {
            assert!(is_shared(&name) || whole[&name] == schema, "{name} is also another feature's");
        }
    }
    for (name, schema) in schemas(&Features::new(&[])) {
        assert!(is_shared(&name) || whole[&name] == schema, "{name} is also a feature's");
    }
}

#[test]
fn examples_are_true() {
    let mut errors = Vec::new();
    let mut look = |place: &str, content: &Value| {
        let several = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        for example in content.get("example").into_iter().chain(several) {
            errors.extend(error_of_example(&content["schema"], example).map(|error| format!("{place}: {error}")));
        }
    };
    for (route, operation) in operations() {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (_, content) in response["content"].as_object().into_iter().flatten() {
                look(&format!("{route} {status}"), content);
            }
        }
        look(&format!("{route} body"), &operation["requestBody"]["content"]["application/json"]);
    }
    for (name, response) in document()["components"]["responses"].as_object().unwrap() {
        look(name, &response["content"]["application/json"]);
    }
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn every_operation_is_described_with_examples() {
    let document = document();
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
    for (status, response) in responses {
        let shared = response["$ref"].as_str().map(|path| &path["#/components/responses/".len()..]);
        let response = shared.map_or(response, |name| &document()["components"]["responses"][name]);
        need(response["description"].as_str().is_some_and(|text| !text.is_empty()), "description of a response");
        let has_body = !matches!(status.as_str(), "204" | "206" | "302" | "304");
        need(has_body == response["content"].is_object(), "content where there should be, or some where not");
        let is_good = status.starts_with(['2', '3']);
        need(!is_good || has_examples(&response["content"]), "example of a response");
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
