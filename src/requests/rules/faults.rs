//! What is wrong with a body or a query: each fault with the exact path of the field.
//!
//! The README's shape `{error, details: {formErrors, fieldErrors}}` folds paths into their first field; ours stand beside it.

use serde_json::{Map, Value, json};

use super::limits;
use hxa_domain::error::ApiError;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `context_package.attachments.0.name`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Everything that is wrong with a request; at most [`limits::FAULTS`] are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
}

impl Faults {
    /// Nothing is wrong yet.
    #[must_use]
    pub const fn none() -> Self {
        Self { faults: Vec::new() }
    }

    /// One fault.
    #[must_use]
    pub fn one(path: impl Into<String>, message: impl Into<String>) -> Self {
        let mut faults = Self::none();
        faults.add(path, message);
        faults
    }

    /// One more fault.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.faults.len() < limits::FAULTS {
            self.faults.push(Fault { path: path.into(), message: message.into() });
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults.
    #[must_use]
    pub fn all(&self) -> &[Fault] {
        &self.faults
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// `{formErrors, fieldErrors}`.
    fn details(&self) -> Value {
        let (mut form, mut fields) = (Vec::new(), Map::new());
        for Fault { path, message } in &self.faults {
            match path.split('.').next().filter(|first| !first.is_empty()) {
                None => form.push(Value::from(message.as_str())),
                Some(first) => {
                    let told = fields.entry(first).or_insert_with(|| Value::Array(Vec::new()));
                    told.as_array_mut().into_iter().for_each(|told| told.push(Value::from(message.as_str())));
                }
            }
        }
        json!({ "formErrors": form, "fieldErrors": fields })
    }

    /// The 400: `{error: "Validation error", code, details, faults: [{path, message}]}`.
    #[must_use]
    pub fn into_error(self) -> ApiError {
        let faults: Vec<Value> =
            self.faults.iter().map(|fault| json!({ "path": fault.path, "message": fault.message })).collect();
        ApiError::validation("Validation error").with("details", self.details()).with("faults", faults)
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        faults.into_error()
    }
}

/// A value from a client for a message, cut.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut kept: String = text.chars().take(limits::QUOTED).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    format!("'{kept}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_folds_paths_and_keeps_them() {
        let mut faults = Faults::none();
        faults.add("intent", "Required");
        faults.add("context_package.summary", "Required");
        faults.add("context_package.detail", "Expected string, received number");
        faults.add("", "Expected object, received array");
        let body = ApiError::from(faults).body();
        assert_eq!(body["error"], "Validation error");
        assert_eq!(body["code"], "VALIDATION_ERROR");
        assert_eq!(body["details"]["formErrors"], json!(["Expected object, received array"]));
        assert_eq!(
            body["details"]["fieldErrors"],
            json!({"intent": ["Required"], "context_package": ["Required", "Expected string, received number"]})
        );
        assert_eq!(
            body["faults"][2],
            json!({"path": "context_package.detail", "message": "Expected string, received number"})
        );
    }

    #[test]
    fn faults_are_bounded() {
        let mut faults = Faults::none();
        (0..10_000).for_each(|n| faults.add(n.to_string(), "x"));
        assert_eq!(faults.all().len(), limits::FAULTS);
        assert_eq!(quoted(&"ä".repeat(100)).chars().count(), limits::QUOTED + 3);
    }
}
