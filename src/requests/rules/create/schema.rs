//! `response_schema`: the form of the answer, checked when it is asked for, so that an answer never meets a schema that
//! makes no sense.

use std::collections::HashSet;

use serde_json::Value;

use crate::rules::fields::Object;
use crate::rules::json::JsonText;
use crate::rules::request::{ChoiceOption, ResponseSchema};
use crate::rules::words::SchemaKind;
use crate::rules::{limits, structured};

/// Reads it.
pub fn read(mut given: Object<'_>) -> Option<ResponseSchema> {
    let kind = given.needed_word("type", SchemaKind::ALL, SchemaKind::as_str);
    let options = options(&mut given, kind == Some(SchemaKind::Choice));
    let json_schema = json_schema(&mut given);
    let (multiple, allow_edit) = (given.flag("multiple"), given.flag("allow_edit"));
    Some(ResponseSchema { kind: kind?, options, json_schema, multiple, allow_edit })
}

/// The options, which a choice needs.
fn options(given: &mut Object<'_>, is_needed: bool) -> Option<Vec<ChoiceOption>> {
    let is_there = given.has("options");
    let objects = given.objects("options", limits::OPTIONS);
    if is_needed && (!is_there || objects.as_ref().is_some_and(Vec::is_empty)) {
        given.fault("options", "A choice needs at least 1 option");
    }
    let mut seen = HashSet::new();
    let options = objects?.into_iter().filter_map(|mut option| {
        let key = option.needed_text("key", limits::OPTION_KEY_UNITS);
        let label = option.needed_any_text("label", limits::OPTION_TEXT_UNITS);
        let description = option.any_text("description", limits::OPTION_TEXT_UNITS);
        if key.as_ref().is_some_and(|key| !seen.insert(key.clone())) {
            option.fault("key", "Keys must be different");
        }
        Some(ChoiceOption { key: key?, label: label?, description })
    });
    Some(options.collect())
}

fn json_schema(given: &mut Object<'_>) -> Option<JsonText> {
    let schema = Value::Object(given.free("json_schema", limits::SCHEMA_BYTES)?);
    if let Err(fault) = structured::check_schema(&schema) {
        given.fault("json_schema", fault);
    }
    Some(JsonText::of(&schema))
}
