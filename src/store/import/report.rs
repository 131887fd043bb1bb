//! The report of an import: per table how many rows were read and stored, and for every other row why it was skipped or
//! changed, with an example by which it can be found.
//!
//! It contains no secrets: examples are ids.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

/// Why rows of a table were not taken over as they were.
#[derive(Debug, Clone, Serialize)]
pub struct Reason {
    /// In words.
    pub why: &'static str,
    /// How many rows.
    pub rows: i64,
    /// The first of them.
    pub example: String,
}

/// One table of the source.
#[derive(Debug, Clone, Default)]
pub struct TableReport {
    /// Rows the source says it has.
    pub counted: i64,
    /// Rows that were read.
    pub read: i64,
    /// Rows that were stored.
    pub stored: i64,
    /// Rows of them the target holds in the end.
    pub found: i64,
    skipped: BTreeMap<&'static str, (i64, String)>,
    changed: BTreeMap<&'static str, (i64, String)>,
}

impl TableReport {
    /// A row was left out.
    pub fn skip(&mut self, why: &'static str, example: &str) {
        self.skip_many(why, 1, example);
    }

    /// Rows were left out.
    pub fn skip_many(&mut self, why: &'static str, rows: i64, example: &str) {
        note(&mut self.skipped, why, rows, example);
    }

    /// A row is not quite what it was.
    pub fn change(&mut self, why: &'static str, example: &str) {
        note(&mut self.changed, why, 1, example);
    }

    /// Rows that were left out.
    #[must_use]
    pub fn skipped(&self) -> i64 {
        self.skipped.values().map(|(rows, _)| rows).sum()
    }

    fn reasons(of: &BTreeMap<&'static str, (i64, String)>) -> Vec<Reason> {
        let reason = |(why, (rows, example)): (&&'static str, &(i64, String))| Reason {
            why,
            rows: *rows,
            example: example.clone(),
        };
        of.iter().map(reason).collect()
    }
}

fn note(notes: &mut BTreeMap<&'static str, (i64, String)>, why: &'static str, rows: i64, example: &str) {
    if rows > 0 {
        notes.entry(why).or_insert_with(|| (0, example.to_owned())).0 += rows;
    }
}

/// The whole import.
#[derive(Debug, Clone)]
pub struct Report {
    source: &'static str,
    dry_run: bool,
    tables: Vec<(&'static str, TableReport)>,
    notes: Vec<String>,
}

impl Report {
    /// Of an import from this kind of database.
    #[must_use]
    pub fn new(source: &'static str, dry_run: bool) -> Self {
        Self { source, dry_run, tables: Vec::new(), notes: Vec::new() }
    }

    /// The report of a table, made when it is first named.
    pub fn table(&mut self, name: &'static str) -> &mut TableReport {
        let at = self.tables.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.tables.push((name, TableReport::default()));
            self.tables.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the position was just found or made")]
        &mut self.tables[at].1
    }

    /// More that the operator should know.
    pub fn extend_notes(&mut self, notes: impl IntoIterator<Item = String>) {
        self.notes.extend(notes);
    }

    /// Whether every row of the source is accounted for, and every stored row is there.
    ///
    /// # Errors
    /// The first table where that is not so.
    pub fn verify(&self) -> Result<(), String> {
        for (name, table) in &self.tables {
            let TableReport { counted, read, stored, found, .. } = table;
            let skipped = table.skipped();
            if read != counted {
                return Err(format!("{name}: the source counts {counted} rows, but {read} could be read"));
            }
            if stored + skipped != *read || stored != found {
                return Err(format!(
                    "{name}: of {read} rows {stored} were stored and {skipped} left out, but the target holds {found}"
                ));
            }
        }
        Ok(())
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let table = |(name, table): &(&'static str, TableReport)| {
            json!({
                "table": name, "read": table.read, "stored": table.stored, "left_out": table.skipped(),
                "reasons": TableReport::reasons(&table.skipped), "changes": TableReport::reasons(&table.changed),
            })
        };
        let tables: Vec<Value> = self.tables.iter().map(table).collect();
        json!({ "source": self.source, "dry_run": self.dry_run, "tables": tables, "notes": self.notes })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.dry_run { "would be stored" } else { "stored" };
        writeln!(f, "Source: {}\n", self.source)?;
        writeln!(f, "{:24} {:>10} {:>15} {:>10} {:>10}", "table", "read", verb, "changed", "left out")?;
        let mut details = String::new();
        for (name, table) in &self.tables {
            let changed: i64 = table.changed.values().map(|(rows, _)| rows).sum();
            writeln!(f, "{name:24} {:>10} {:>15} {changed:>10} {:>10}", table.read, table.stored, table.skipped())?;
            for (what, reasons) in [("left out", &table.skipped), ("changed", &table.changed)] {
                for (why, (rows, example)) in reasons {
                    let example = if example.is_empty() { String::new() } else { format!(" (such as {example})") };
                    writeln!(details, "  {name}: {rows} {what}: {why}{example}")?;
                }
            }
        }
        if !details.is_empty() {
            write!(f, "\nNot taken over as they were:\n{details}")?;
        }
        for note in &self.notes {
            write!(f, "\nNote: {note}")?;
        }
        let end = if self.dry_run { "Nothing was written." } else { "All counts agree. Start the hub." };
        write!(f, "\n{end}")
    }
}
