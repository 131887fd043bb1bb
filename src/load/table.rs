//! The readable end of a run: per scenario a heading, the rates, a latency table and what failed.

use std::fmt::{self, Write};

use crate::outcome::{Outcome, Server};
use crate::stats::{Latency, to_f64};

/// One scenario as text.
pub fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_outcome(&mut out, outcome);
    out
}

fn write_outcome(out: &mut String, outcome: &Outcome) -> fmt::Result {
    let verdict = if outcome.ok { "ok" } else { "FAILED" };
    writeln!(out, "\n{}  {verdict}  ({} s)", outcome.scenario, outcome.seconds)?;
    let setting: Vec<String> = outcome
        .setting
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    writeln!(out, "  {}", setting.join(" · "))?;
    writeln!(
        out,
        "  {:.0} ops/s   {:.0} deliveries/s   {} conflicts",
        outcome.ops_per_s, outcome.deliveries_per_s, outcome.conflicts
    )?;
    write_server(out, "server", outcome.server.as_ref())?;
    write_server(out, "database", outcome.database.as_ref())?;
    let own = &outcome.generator;
    writeln!(
        out,
        "  generator: {:.2} CPU s ({:.0} % of a core), {:.1} MB",
        own.cpu_s,
        own.cpu_share * 100.0,
        mb(own.rss)
    )?;
    if let Some(ratios) = &outcome.ratios {
        writeln!(out, "  {ratios}")?;
    }
    if !outcome.latency_us.is_empty() {
        writeln!(
            out,
            "  {:<16}{:>10}{:>11}{:>11}{:>11}{:>11}{:>11}",
            "latency (ms)", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
    }
    outcome.latency_us.iter().try_for_each(|latency| write_latency(out, latency))?;
    for (name, value) in &outcome.figures {
        writeln!(out, "  {name}: {value}")?;
    }
    outcome.failures.iter().try_for_each(|failure| writeln!(out, "  FAILED: {failure}"))
}

fn write_server(out: &mut String, name: &str, server: Option<&Server>) -> fmt::Result {
    let Some(server) = server else { return Ok(()) };
    writeln!(
        out,
        "  {name}: {:.2} CPU s ({:.0} % of a core), {:.0} ops and {:.0} deliveries per CPU s, {:.1} -> {:.1} MB",
        server.cpu_s,
        server.cpu_share * 100.0,
        server.ops_per_cpu_s,
        server.deliveries_per_cpu_s,
        mb(server.rss_before),
        mb(server.rss_after)
    )
}

fn write_latency(out: &mut String, latency: &Latency) -> fmt::Result {
    let [p50, p90, p99, p999, max] =
        [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(|micros| to_f64(micros) / 1000.0);
    writeln!(out, "  {:<16}{:>10}{p50:>11.2}{p90:>11.2}{p99:>11.2}{p999:>11.2}{max:>11.2}", latency.of, latency.count)
}

/// Bytes as megabytes.
pub fn mb(bytes: u64) -> f64 {
    to_f64(bytes) / 1_048_576.0
}
