//! Schemas that cannot be used are refused before they cost anything.

use std::time::Instant;

use serde_json::json;

use super::*;

fn faults(schema: &Value, answer: &Value) -> Vec<String> {
    let mut faults = Faults::none();
    check(schema, answer, "response_data", &mut faults);
    faults.all().iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

#[test]
fn local_references_are_followed() {
    let schema = json!({
        "type": "object", "properties": {"a": {"$ref": "#/$defs/name"}, "b/c": {"$ref": "#/$defs/name"}},
        "$defs": {"name": {"type": "string", "maxLength": 3}},
    });
    check_schema(&schema).unwrap();
    assert_eq!(faults(&schema, &json!({"a": "abc", "b/c": "d"})), Vec::<String>::new());
    let told = faults(&schema, &json!({"a": "abcd", "b/c": 5}));
    assert_eq!(told.len(), 2);
    assert!(told.iter().any(|fault| fault.starts_with("response_data.a: ")), "{told:?}");
    assert!(told.iter().any(|fault| fault.starts_with("response_data.b/c: ")), "{told:?}");
}

#[test]
fn what_cannot_be_bounded_is_refused() {
    let definitions = |count: usize| -> Value {
        let fields = (0..count).map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (format!("d{n}"), json!({"allOf": [next, next]}))
        });
        let mut all: Map<String, Value> = fields.collect();
        all.insert(format!("d{count}"), json!({"type": "string"}));
        all.into()
    };
    for (why, schema) in [
        ("itself", json!({"$ref": "#"})),
        (
            "a circle",
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}),
        ),
        ("a circle hidden in a property named const", json!({"properties": {"const": {"$ref": "#/properties/const"}}})),
        ("twice twice twice", json!({"$ref": "#/$defs/d0", "$defs": definitions(15)})),
        ("elsewhere", json!({"$ref": "https://example.com/schema.json"})),
        ("a file", json!({"$ref": "file:///etc/passwd"})),
        ("the meta-schema", json!({"$ref": "http://json-schema.org/draft-07/schema#"})),
        ("nowhere", json!({"$ref": "#/$defs/none"})),
        ("another base", json!({"properties": {"a": {"$id": "urn:x", "$ref": "#/a"}}})),
        ("an anchor", json!({"$anchor": "a", "$ref": "#a"})),
        ("dynamic", json!({"$dynamicRef": "#a"})),
        ("another dialect", json!({"$schema": "http://json-schema.org/draft-04/schema#"})),
        ("no schema", json!({"type": "strin"})),
        ("no expression", json!({"pattern": "("})),
        ("looks around", json!({"pattern": "(?=a)b"})),
        ("a huge expression", json!({"pattern": "((a{100}){100}){100}"})),
        ("a long expression", json!({"pattern": "a".repeat(513)})),
        ("many expressions", json!({"allOf": vec![json!({"pattern": "a"}); 21]})),
        (
            "many patterns",
            json!({"patternProperties": (0..21).map(|n| (format!("a{n}"), json!({}))).collect::<Map<_, _>>()}),
        ),
        ("many schemas", json!({"allOf": vec![json!({}); 5000]})),
    ] {
        let begun = Instant::now();
        assert!(check_schema(&schema).is_err(), "{why}");
        assert!(begun.elapsed().as_secs() < 5, "{why} took {:?}", begun.elapsed());
        assert!(!faults(&schema, &json!({})).is_empty(), "{why}");
    }
}

#[test]
fn ordinary_schemas_are_taken() {
    for schema in [
        json!({}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"}),
        json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "format": "email"}),
        json!({"anyOf": [{"type": "string"}, {"enum": [1, 2, null]}], "title": "T", "default": "x"}),
        json!({"type": "object", "properties": {"$ref": {"type": "string"}, "id": {"type": "string"}}}),
        json!({"unevaluatedProperties": false, "properties": {"a": true}}),
    ] {
        assert_eq!(check_schema(&schema), Ok(()), "{schema}");
    }
}

#[test]
fn hostile_answers_end_soon() {
    let nested = (0..10)
        .fold(json!({"type": "string"}), |inner, _| json!({"anyOf": [{"items": inner}, {"items": {"type": "null"}}]}));
    let deep = (0..30).fold(json!(1), |inner, _| json!([inner]));
    let expression = json!({"additionalProperties": {"pattern": "^(a|a|a|a|a|b|ab?)*c{0,100}$"}});
    let many = json!({"additionalProperties": {"allOf": vec![json!({"type": "null"}); 1500]}});
    let wide = json!({"a": vec![1; 100_000]});
    for (schema, answer) in [
        (nested, json!({"a": deep})),
        (expression.clone(), json!({"a": "a".repeat(30_000)})),
        (expression, json!({"a": "a".repeat(200_000)})),
        (many.clone(), (0..2_000).map(|n| (n.to_string(), json!(1))).collect::<Map<_, _>>().into()),
        (many, wide.clone()),
        (json!({"properties": {"a": {"uniqueItems": true}}}), wide),
    ] {
        let begun = Instant::now();
        let told = faults(&schema, &answer);
        assert!(told.len() <= limits::ANSWER_FAULTS && told.iter().all(|fault| fault.len() < 1200), "{told:?}");
        assert!(begun.elapsed().as_secs() < 10, "took {:?}", begun.elapsed());
    }
}

#[test]
fn faults_are_few_and_short() {
    let schema = json!({"additionalProperties": {"enum": vec!["x".repeat(200); 50]}});
    let answer: Map<String, Value> =
        (0..100).map(|n| (format!("{n}{}", "k".repeat(1000)), json!("v".repeat(1000)))).collect();
    let told = faults(&schema, &answer.into());
    assert_eq!(told.len(), limits::ANSWER_FAULTS);
    assert!(told.iter().all(|fault| fault.chars().count() < 600), "{}", told[0]);
}
