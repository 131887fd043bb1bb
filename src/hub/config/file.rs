//! Reading the configuration file.
//!
//! A key that is not in the table is an error, because a mistyped key would otherwise silently leave a default in
//! place. Every error names file, line and column; all errors are collected before the start is refused.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{AREAS, Config, SETTINGS, Setting};
use super::value::FileValue;

/// What came of reading a file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The settings that were set.
    pub set: Vec<&'static Setting>,
    /// What is wrong, each with its place.
    pub problems: Vec<String>,
}

/// Applies the text of the file at `path` to `config`.
pub(super) fn apply(config: &mut Config, path: &Path, text: &str) -> Outcome {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reading = Reading { config, path, text, outcome: Outcome::default() };
    for error in errors {
        reading.complain(error.span().unwrap_or_default(), error.message());
    }
    for (area, value) in table.get_ref() {
        reading.area(area, value);
    }
    reading.outcome
}

/// A file while it is read.
struct Reading<'a> {
    config: &'a mut Config,
    path: &'a Path,
    text: &'a str,
    outcome: Outcome,
}

impl Reading<'_> {
    fn area(&mut self, area: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let name = area.get_ref();
        if !AREAS.iter().any(|known| known.name == name) {
            let accepted: Vec<&str> = AREAS.iter().map(|area| area.name).collect();
            self.complain(area.span(), &unknown("section", name, &accepted));
            return;
        }
        match value.get_ref() {
            DeValue::Table(keys) => keys.iter().for_each(|(key, value)| self.key(name, key, value)),
            _ => self.complain(area.span(), &format!("\"{name}\" is a section; write [{name}]")),
        }
    }

    fn key(&mut self, area: &str, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let accepted = SETTINGS.iter().filter(|setting| setting.area == area);
        let Some(setting) = accepted.clone().find(|setting| setting.key == key.get_ref()) else {
            let names: Vec<&str> = accepted.map(|setting| setting.key).collect();
            self.complain(key.span(), &unknown("key", &format!("{area}.{}", key.get_ref()), &names));
            return;
        };
        match (setting.set_file)(self.config, &file_value(value)) {
            Ok(()) => self.outcome.set.push(setting),
            Err(problem) => self.complain(value.span(), &format!("{}: {problem}", setting.name())),
        }
    }

    /// Records a complaint about what starts at `span`.
    fn complain(&mut self, span: Range<usize>, problem: &str) {
        let place = position(self.path, self.text, span.start);
        self.outcome.problems.push(format!("{place}: {problem}"));
    }
}

fn unknown(what: &str, name: &str, accepted: &[&str]) -> String {
    format!("unknown {what} \"{name}\"; accepted are {}", accepted.join(", "))
}

/// `file:line:column` of a byte, both counted from 1, columns in characters.
fn position(path: &Path, text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("{}:{line}:{column}", path.display())
}

fn file_value(value: &Spanned<DeValue<'_>>) -> FileValue {
    match value.get_ref() {
        DeValue::String(text) => FileValue::Text(text.to_string()),
        DeValue::Boolean(on) => FileValue::Switch(*on),
        DeValue::Integer(number) if number.radix() == 10 => FileValue::Integer(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(FileValue::Other("a list of other things than strings"), FileValue::List)
        }
        DeValue::Table(_) => FileValue::Other("a section"),
        DeValue::Integer(_) => FileValue::Other("a number that is not decimal"),
        DeValue::Float(_) => FileValue::Other("a number with a fraction"),
        DeValue::Datetime(_) => FileValue::Other("a date"),
    }
}
