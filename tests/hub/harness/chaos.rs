//! Long runs: how often a suite repeats itself, and where the figures it reached are written.
//!
//! `scripts/chaos` sets both variables; without them a suite runs its short form and tells its figure to nobody.

use std::io::Write;
use std::time::Duration;

/// Multiplies the counts of the fault suites.
const FACTOR: &str = "HXA_CHAOS";
/// File to which figures are appended, one `name<TAB>figure` per line.
const FIGURES: &str = "HXA_CHAOS_FIGURES";

/// `count` in the short form, a multiple of it in the long one.
pub fn times(count: usize) -> usize {
    let factor = std::env::var(FACTOR).ok().filter(|text| !text.is_empty());
    count * factor.map_or(1, |text| text.parse::<usize>().expect("HXA_CHAOS is a whole number"))
}

/// Tells what was reached for a promise.
pub fn figure(promise: &str, reached: &str) {
    println!("{promise}: {reached}");
    write_down(&format!("{promise}\t{reached}"));
}

fn write_down(line: &str) {
    if let Some(path) = std::env::var_os(FIGURES) {
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// Tells what an attack came to: by how much the hub's memory grew, and how long another tenant waited meanwhile (`p99 12 ms`).
pub fn attack(db: impl std::fmt::Display, what: &str, grown: Option<usize>, waited: &str) {
    let grown = grown.map_or("–".to_owned(), size);
    println!("{db}: {what}: {grown}, {waited}");
    write_down(&format!("attack\t{db}\t{what}\t{grown}\t{waited}"));
}

/// A time as people read it: `163 ms`, `2.5 s`.
pub fn span(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// An amount of memory as people read it: `26 MB`.
pub fn size(bytes: usize) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
