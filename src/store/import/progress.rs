//! The progress of an import: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// The bar, in rows of the source.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of this many rows.
    pub fn over(rows: i64) -> Self {
        let bar = ProgressBar::new(u64::try_from(rows).unwrap_or(0));
        let template = "{msg:22} {wide_bar} {pos}/{len} rows, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Another table has its turn.
    pub fn table(&self, name: &'static str) {
        self.0.set_message(name);
    }

    /// Rows are done.
    pub fn add(&self, rows: usize) {
        self.0.inc(u64::try_from(rows).unwrap_or(0));
    }

    /// Everything is done.
    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
