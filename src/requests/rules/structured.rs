//! Structured answers: JSON Schema of an agent, which may be hostile, over an answer of a person, which may be too.
//!
//! The work is bounded before a schema is used. References lead to other places of the schema only, and never in a circle;
//! followed through all of them it has at most so many schemas, so deep, and so many regular expressions, each of which
//! takes linear time. Nothing is fetched. An answer is checked only where schemas times values are few enough.

use std::collections::HashMap;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::faults::Faults;
use super::limits;
use hxa_domain::limits::json_bytes;

/// Keywords that make a reference follow something else than a place in the schema.
const INDIRECT: [&str; 6] = ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"];
/// Keywords whose schemas may be tried more than once for one value.
const REPEATED: [&str; 7] = ["anyOf", "oneOf", "not", "if", "contains", "unevaluatedProperties", "unevaluatedItems"];

/// What a schema takes, every reference followed.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    nodes: u64,
    patterns: u64,
    depth: usize,
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            patterns: self.patterns.saturating_add(other.patterns),
            depth: self.depth.max(other.depth),
        }
    }
}

/// A walk through a schema.
struct Walk<'s> {
    root: &'s Value,
    /// What is known of objects that references lead to; `None` while one is walked, and so is a circle.
    known: HashMap<&'s str, Option<Cost>>,
}

impl<'s> Walk<'s> {
    /// The cost of a value, wherever it stands: what looks like a reference in plain data counts as one.
    fn cost(&mut self, value: &'s Value, depth: usize) -> Result<Cost, String> {
        if depth > limits::SCHEMA_DEPTH {
            return Err(format!("Must not be deeper than {} levels, references followed", limits::SCHEMA_DEPTH));
        }
        let below = depth.saturating_add(1);
        match value {
            Value::Array(items) => {
                items.iter().try_fold(Cost::default(), |sum, item| Ok(sum.and(self.cost(item, below)?)))
            }
            Value::Object(fields) => self.object(fields, below),
            _ => Ok(Cost::default()),
        }
        .and_then(|cost| bounded(Cost { depth: cost.depth.saturating_add(1), ..cost }))
    }

    fn object(&mut self, fields: &'s Map<String, Value>, below: usize) -> Result<Cost, String> {
        if let Some(word) = INDIRECT.iter().find(|word| fields.get(**word).is_some_and(|given| !given.is_object())) {
            return Err(format!("Must not use {word}: references lead to places in the schema, as #/$defs/name"));
        }
        let mut sum = Cost { nodes: 1, ..Cost::default() };
        for (key, value) in fields {
            let cost = match (key.as_str(), value) {
                ("$ref", Value::String(target)) => self.reference(target, below)?,
                ("pattern", Value::String(pattern)) => pattern_cost(pattern)?,
                ("patternProperties", Value::Object(patterns)) => {
                    let own = patterns
                        .keys()
                        .try_fold(Cost::default(), |sum, key| Ok::<_, String>(sum.and(pattern_cost(key)?)));
                    own?.and(self.cost(value, below)?)
                }
                _ => self.cost(value, below)?,
            };
            sum = sum.and(cost);
        }
        let is_repeated = REPEATED.iter().any(|word| fields.contains_key(*word));
        Ok(if is_repeated { Cost { nodes: sum.nodes.saturating_mul(2), ..sum } } else { sum })
    }

    fn reference(&mut self, target: &'s str, depth: usize) -> Result<Cost, String> {
        match self.known.get(target) {
            Some(Some(cost)) if cost.depth.saturating_add(depth) <= limits::SCHEMA_DEPTH => return Ok(*cost),
            Some(None) => return Err(format!("The reference {target:.64} leads back to itself")),
            _ => {}
        }
        let pointer = target.strip_prefix('#').filter(|pointer| !pointer.contains('%'));
        let place = pointer.and_then(|pointer| self.root.pointer(pointer));
        let place = place.ok_or_else(|| format!("The reference {target:.64} leads to no place in the schema"))?;
        self.known.insert(target, None);
        let cost = self.cost(place, depth)?;
        self.known.insert(target, Some(cost));
        Ok(cost)
    }
}

fn bounded(cost: Cost) -> Result<Cost, String> {
    match cost {
        Cost { nodes, .. } if nodes > limits::SCHEMA_NODES => {
            Err(format!("Must not have more than {} schemas, references followed", limits::SCHEMA_NODES))
        }
        Cost { patterns, .. } if patterns > limits::SCHEMA_PATTERNS => {
            Err(format!("Must not have more than {} regular expressions", limits::SCHEMA_PATTERNS))
        }
        cost => Ok(cost),
    }
}

fn pattern_cost(pattern: &str) -> Result<Cost, String> {
    if pattern.len() > limits::PATTERN_BYTES {
        return Err(format!("A regular expression must not be longer than {} bytes", limits::PATTERN_BYTES));
    }
    Ok(Cost { patterns: 1, ..Cost::default() })
}

/// The cost of a schema that is safe to use.
fn cost_of(schema: &Value) -> Result<Cost, String> {
    let known = HashMap::from([("#", None)]);
    Walk { root: schema, known }.cost(schema, 0)
}

/// The draft that the schema names.
fn draft_of(schema: &Value) -> Result<Draft, String> {
    let Some(named) = schema.get("$schema") else { return Ok(Draft::Draft202012) };
    match named.as_str().map(|name| name.trim_end_matches('#')) {
        Some("https://json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
        Some("https://json-schema.org/draft/2019-09/schema") => Ok(Draft::Draft201909),
        Some("http://json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
        Some("http://json-schema.org/draft-06/schema") => Ok(Draft::Draft6),
        _ => Err("$schema must be draft 2020-12, 2019-09, 07 or 06".to_owned()),
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(limits::PATTERN_MEMORY).dfa_size_limit(limits::PATTERN_MEMORY);
    let options = jsonschema::options()
        .with_draft(draft_of(schema)?)
        .offline()
        .should_validate_formats(true)
        // Expressions of answers would be compiled.
        .with_format("regex", |_: &str| true)
        .with_pattern_options(patterns);
    options.build(schema).map_err(|error| format!("Not a JSON Schema that can be used: {}", told(&error)))
}

/// Whether a schema can be used.
///
/// # Errors
/// What is wrong with it.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    cost_of(schema)?;
    compile(schema).map(drop)
}

/// Values in a value, itself included.
fn values(value: &Value) -> u64 {
    let inner: u64 = match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(fields) => fields.values().map(values).sum(),
        _ => 0,
    };
    inner.saturating_add(1)
}

/// Notes what is wrong with an answer, under `path`.
pub fn check(schema: &Value, answer: &Value, path: &str, faults: &mut Faults) {
    // The schema was checked when the request was made; one that came another way may still be wrong.
    let (cost, validator) = match cost_of(schema).and_then(|cost| Ok((cost, compile(schema)?))) {
        Ok(ready) => ready,
        Err(fault) => return faults.add(path, format!("Cannot be checked, its schema cannot be used: {fault}")),
    };
    let work = cost.nodes.saturating_mul(values(answer));
    let is_too_long = cost.patterns > 0 && json_bytes(answer) > limits::PATTERN_TEXT_BYTES;
    if work > limits::SCHEMA_WORK || is_too_long {
        return faults.add(path, "Is too large to be checked against its schema");
    }
    if work > limits::SCHEMA_WORK_FOR_ALL {
        if let Err(error) = validator.validate(answer) {
            note(&error, path, faults);
        }
        return;
    }
    validator.iter_errors(answer).take(limits::ANSWER_FAULTS).for_each(|error| note(&error, path, faults));
}

fn note(error: &ValidationError<'_>, path: &str, faults: &mut Faults) {
    let place = error.instance_path().to_string();
    let steps = place.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"));
    let full = steps.fold(path.to_owned(), |path, step| format!("{path}.{step}"));
    faults.add(full.chars().take(limits::PATH_CHARS).collect::<String>(), told(error));
}

/// The sentence of an error, without the value, cut.
fn told(error: &ValidationError<'_>) -> String {
    let text = error.masked_with("the value").to_string();
    let mut kept: String = text.chars().take(limits::MESSAGE_CHARS).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests;
