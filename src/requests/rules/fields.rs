//! Reading the fields of a body: every fault is noted with its path, and reading goes on. Fields that nobody asks for are
//! left out. An explicit null is of the wrong type, as it is to the README's clients.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::faults::{Faults, quoted};
use super::json::depth;
use super::limits;
use hxa_domain::limits::{fits_json, fits_utf16};
use hxa_domain::query::integer;

/// Where faults are noted.
pub type Noted = RefCell<Faults>;

/// An object that is being read.
pub struct Object<'n> {
    path: String,
    fields: Map<String, Value>,
    noted: &'n Noted,
}

/// The JSON type of a value, in the words of faults.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The path of a field of `path`.
pub fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The fault of a value of the wrong type.
pub fn wrong_type(wanted: &str, got: &Value) -> String {
    format!("Expected {wanted}, received {}", kind(got))
}

/// The fault of a text, if it has one.
#[must_use]
pub fn fault_of_text(text: &str, most_units: usize) -> Option<String> {
    if text.is_empty() {
        return Some("String must contain at least 1 character(s)".to_owned());
    }
    if text.contains('\0') {
        return Some("String must not contain NUL characters".to_owned());
    }
    (!fits_utf16(text, most_units)).then(|| format!("String must contain at most {most_units} character(s)"))
}

/// Whether any text or key in the value has a NUL character, which no database of ours keeps.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The fault of free JSON, if it has one.
#[must_use]
pub fn fault_of_json(value: &Value, most_bytes: usize) -> Option<String> {
    if depth(value) > limits::JSON_DEPTH {
        return Some(format!("Must not be nested deeper than {} levels", limits::JSON_DEPTH));
    }
    if has_nul(value) {
        return Some("Must not contain NUL characters".to_owned());
    }
    (!fits_json(value, most_bytes)).then(|| format!("Must not be larger than {most_bytes} bytes of JSON"))
}

impl<'n> Object<'n> {
    /// Begins with a whole body.
    pub fn of_body(body: Value, noted: &'n Noted) -> Option<Self> {
        Self::of(String::new(), body, noted)
    }

    /// Begins with the value at a path.
    pub fn of(path: String, value: Value, noted: &'n Noted) -> Option<Self> {
        match value {
            Value::Object(fields) => Some(Self { path, fields, noted }),
            other => {
                noted.borrow_mut().add(path, wrong_type("object", &other));
                None
            }
        }
    }

    /// The path of a field.
    pub fn path(&self, key: &str) -> String {
        below(&self.path, key)
    }

    /// Notes a fault of a field.
    pub fn fault(&self, key: &str, message: impl Into<String>) {
        self.noted.borrow_mut().add(self.path(key), message);
    }

    /// Notes a fault of the object itself.
    pub fn own_fault(&self, message: impl Into<String>) {
        self.noted.borrow_mut().add(self.path.clone(), message);
    }

    /// Whether the field was given.
    pub fn has(&self, key: &str) -> bool {
        self.fields.contains_key(key)
    }

    /// Takes a field that may be there.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.fields.shift_remove(key)
    }

    /// Takes a field that must be there.
    pub fn need(&mut self, key: &str) -> Option<Value> {
        let value = self.take(key);
        if value.is_none() {
            self.fault(key, "Required");
        }
        value
    }

    fn text_of(&self, key: &str, value: Option<Value>, most_units: usize) -> Option<String> {
        let fault = match value? {
            Value::String(text) => match fault_of_text(&text, most_units) {
                None => return Some(text),
                Some(fault) => fault,
            },
            other => wrong_type("string", &other),
        };
        self.fault(key, fault);
        None
    }

    /// A text that may be there; it is never empty.
    pub fn text(&mut self, key: &str, most_units: usize) -> Option<String> {
        let value = self.take(key);
        self.text_of(key, value, most_units)
    }

    /// A text that must be there.
    pub fn needed_text(&mut self, key: &str, most_units: usize) -> Option<String> {
        let value = self.need(key);
        self.text_of(key, value, most_units)
    }

    /// A text that may be there and may be empty.
    pub fn any_text(&mut self, key: &str, most_units: usize) -> Option<String> {
        match self.fields.get(key) {
            Some(Value::String(text)) if text.is_empty() => {
                self.take(key);
                Some(String::new())
            }
            _ => self.text(key, most_units),
        }
    }

    /// A text that must be there and may be empty.
    pub fn needed_any_text(&mut self, key: &str, most_units: usize) -> Option<String> {
        if !self.has(key) {
            self.fault(key, "Required");
        }
        self.any_text(key, most_units)
    }

    /// A word of a list that must be there.
    pub fn needed_word<T: Copy>(&mut self, key: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let value = self.need(key);
        self.word_of(key, value, all, word)
    }

    /// A word of a list that may be there.
    pub fn word<T: Copy>(&mut self, key: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let value = self.take(key);
        self.word_of(key, value, all, word)
    }

    fn word_of<T: Copy>(&self, key: &str, value: Option<Value>, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let value = value?;
        let found = value.as_str().and_then(|text| all.iter().copied().find(|one| word(*one) == text));
        if found.is_none() {
            let legal: Vec<String> = all.iter().map(|one| format!("'{}'", word(*one))).collect();
            let (legal, start) = (legal.join(" | "), value.as_str().map(quoted));
            self.fault(
                key,
                match start {
                    Some(given) => format!("Invalid enum value. Expected {legal}, received {given}"),
                    None => format!("Expected {legal}, received {}", kind(&value)),
                },
            );
        }
        found
    }

    /// True or false.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(on) => Some(on),
            other => {
                self.fault(key, wrong_type("boolean", &other));
                None
            }
        }
    }

    /// A whole number between 1 and `most` that must be there.
    pub fn needed_count(&mut self, key: &str, most: i64) -> Option<i64> {
        let value = self.need(key)?;
        let fault = match (value.as_f64(), integer(&value)) {
            (None, _) => wrong_type("number", &value),
            (_, Some(number)) if (1..=most).contains(&number) => return Some(number),
            (_, Some(number)) if number < 1 => "Number must be greater than 0".to_owned(),
            (Some(float), None) if float < 0.0 => "Number must be greater than 0".to_owned(),
            (Some(float), None) if float.fract() != 0.0 => "Expected integer, received float".to_owned(),
            _ => format!("Number must be less than or equal to {most}"),
        };
        self.fault(key, fault);
        None
    }

    /// An object that may be there.
    pub fn object(&mut self, key: &str) -> Option<Self> {
        let value = self.take(key)?;
        Self::of(self.path(key), value, self.noted)
    }

    /// An object that must be there.
    pub fn needed_object(&mut self, key: &str) -> Option<Self> {
        let value = self.need(key)?;
        Self::of(self.path(key), value, self.noted)
    }

    /// An object of any content that may be there.
    pub fn free(&mut self, key: &str, most_bytes: usize) -> Option<Map<String, Value>> {
        let value = self.take(key)?;
        let fault = match &value {
            Value::Object(_) => fault_of_json(&value, most_bytes),
            other => Some(wrong_type("object", other)),
        };
        match (fault, value) {
            (None, Value::Object(fields)) => Some(fields),
            (fault, _) => {
                self.fault(key, fault.unwrap_or_default());
                None
            }
        }
    }

    /// An object of any content that must be there.
    pub fn needed_free(&mut self, key: &str, most_bytes: usize) -> Option<Map<String, Value>> {
        if !self.has(key) {
            self.fault(key, "Required");
        }
        self.free(key, most_bytes)
    }

    /// A list of at most so many values that may be there, each with its path.
    pub fn list(&mut self, key: &str, most: usize) -> Option<Vec<(String, Value)>> {
        let items = match self.take(key)? {
            Value::Array(items) => items,
            other => {
                self.fault(key, wrong_type("array", &other));
                return None;
            }
        };
        if items.len() > most {
            self.fault(key, format!("Array must contain at most {most} element(s)"));
            return None;
        }
        let path = self.path(key);
        Some(items.into_iter().enumerate().map(|(index, item)| (format!("{path}.{index}"), item)).collect())
    }

    /// A list of objects that may be there.
    pub fn objects(&mut self, key: &str, most: usize) -> Option<Vec<Self>> {
        let noted = self.noted;
        let items = self.list(key, most)?;
        Some(items.into_iter().filter_map(|(path, item)| Self::of(path, item, noted)).collect())
    }

    /// A list of texts that must be there.
    pub fn needed_texts(&mut self, key: &str, most: usize, most_units: usize) -> Option<Vec<String>> {
        if !self.has(key) {
            self.fault(key, "Required");
        }
        let items = self.list(key, most)?;
        let texts = items.into_iter().filter_map(|(path, item)| {
            let fault = match &item {
                Value::String(text) => fault_of_text(text, most_units),
                other => Some(wrong_type("string", other)),
            };
            match (fault, item) {
                (None, Value::String(text)) => Some(text),
                (fault, _) => {
                    self.noted.borrow_mut().add(path, fault.unwrap_or_default());
                    None
                }
            }
        });
        Some(texts.collect())
    }
}
