//! Holds what the hub says against its OpenAPI document: the status of every answer, every key of its JSON, and every
//! event. What it does not describe fails the test that meets it.
//!
//! The document leaves objects open, because fields may be added; here they are closed, so that a field which is sent and
//! not described is an error as well.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

use actix_web::http::Method;
use hxa_connect::features::FEATURES;
use hxa_web::route_table::{RouteTable, UNMATCHED};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::read(FEATURES.document()));

/// With the test feature, whose answers and events are held against it too.
static COMPLETE: LazyLock<Document> = LazyLock::new(|| Document::read(crate::feature::FEATURES.document()));

/// The document and what was made of it so far.
struct Document {
    whole: Value,
    /// Its components, closed.
    components: Value,
    routes: RouteTable,
    validators: RwLock<HashMap<String, Arc<Validator>>>,
}

/// The document, as the hub serves it.
pub fn document() -> &'static Value {
    &DOCUMENT.whole
}

/// Fails the test whose answer or event the document does not describe. Where `HXA_DOCUMENT_ERRORS` names a file, the error
/// is written there instead, so that one run shows all of them.
pub fn report(error: &str) {
    let Ok(path) = std::env::var("HXA_DOCUMENT_ERRORS") else { panic!("the document says otherwise: {error}") };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, format!("{error}\n").as_bytes()).unwrap();
}

/// What is wrong with an answer; `body` is there when it is JSON.
pub fn error_of_answer(method: &str, path: &str, status: u16, body: Option<&Value>) -> Option<String> {
    let document = &*COMPLETE;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let found = document.routes.find(path)?;
    let label = found.label(&method);
    let (_, template) = label.split_once(' ').filter(|_| label != UNMATCHED)?;
    let responses = &document.whole["paths"][template][method.as_str().to_lowercase()]["responses"];
    let response = document.resolved(&responses[status.to_string()]);
    if response.is_null() {
        return Some(format!("{label}: status {status} is not described ({})", body.unwrap_or(&Value::Null)));
    }
    match (response["content"]["application/json"].get("schema"), body) {
        (Some(schema), Some(body)) => {
            let error = document.error(&format!("{label} {status}"), schema, body)?;
            Some(format!("{label} {status}: {error}"))
        }
        (Some(_), None) => Some(format!("{label} {status}: described as JSON and answered without")),
        // An uploaded file may be JSON.
        (None, Some(body)) if response["content"].is_null() => {
            Some(format!("{label} {status}: JSON that is not described ({body})"))
        }
        (None, _) => None,
    }
}

/// What is wrong with a frame, if it is an event.
pub fn error_of_event(frame: &Value) -> Option<String> {
    let kind = frame["type"].as_str().filter(|kind| *kind != "resumed")?;
    frame.get("epoch").and(frame.get("seq"))?;
    let document = &*COMPLETE;
    let Some(name) = document.whole["components"]["schemas"]["Event"]["discriminator"]["mapping"].get(kind) else {
        return Some(format!("the event {kind} is not described"));
    };
    let error = document.error(kind, &json!({ "$ref": name }), frame)?;
    Some(format!("event {kind}: {error}"))
}

/// What is wrong with an example.
pub fn error_of_example(schema: &Value, example: &Value) -> Option<String> {
    DOCUMENT.error(&schema.to_string(), schema, example)
}

impl Document {
    fn read(document: &OpenApi) -> Self {
        let whole: Value = serde_json::to_value(document).unwrap();
        let schemas = whole["components"]["schemas"].as_object().unwrap();
        // What is part of an `allOf` must stay open; whoever refers to a component closes it.
        let schemas: Map<String, Value> =
            schemas.iter().map(|(name, schema)| (name.clone(), closed(schema, true))).collect();
        let components = json!({ "schemas": schemas });
        Self { whole, components, routes: RouteTable::of(document), validators: RwLock::default() }
    }

    /// A response, looked up where it is one of the shared ones.
    fn resolved<'a>(&'a self, response: &'a Value) -> &'a Value {
        let name = response["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/responses/"));
        name.map_or(response, |name| &self.whole["components"]["responses"][name])
    }

    /// The first thing that is wrong with a value. Schemas are compiled once per name.
    fn error(&self, name: &str, schema: &Value, value: &Value) -> Option<String> {
        let known = self.validators.read().unwrap().get(name).cloned();
        let validator = known.unwrap_or_else(|| {
            let made = Arc::new(self.compile(schema));
            self.validators.write().unwrap().insert(name.to_owned(), made.clone());
            made
        });
        let error = validator.iter_errors(value).next()?;
        Some(format!("at {:?}: {error} (rule {})", error.instance_path().as_str(), error.schema_path().as_str()))
    }

    fn compile(&self, schema: &Value) -> Validator {
        let mut root = closed(schema, false);
        root["components"] = self.components.clone();
        jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).build(&root).unwrap()
    }
}

/// A schema whose objects have no other keys than those described. `is_part` is true of what others may add to.
fn closed(schema: &Value, is_part: bool) -> Value {
    let Value::Object(rules) = schema else { return schema.clone() };
    let all = |schemas: &Value, is_part| match schemas {
        Value::Array(schemas) => schemas.iter().map(|schema| closed(schema, is_part)).collect(),
        other => other.clone(),
    };
    let mut made: Map<String, Value> = Map::new();
    for (rule, value) in rules {
        let value = match (rule.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                fields.iter().map(|(name, schema)| (name.clone(), closed(schema, false))).collect()
            }
            ("items" | "additionalProperties", schema) => closed(schema, false),
            ("oneOf" | "anyOf", schemas) => all(schemas, false),
            ("allOf", schemas) => all(schemas, true),
            (_, value) => value.clone(),
        };
        made.insert(rule.clone(), value);
    }
    let is_object = ["$ref", "properties", "allOf"].iter().any(|rule| made.contains_key(*rule));
    if is_object && !is_part && !made.contains_key("additionalProperties") {
        made.insert("unevaluatedProperties".to_owned(), false.into());
    }
    Value::Object(made)
}
