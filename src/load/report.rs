//! The HTML page: one file that opens anywhere, with a summary table and per scenario the charts over time.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::chart::{Series, chart};
use crate::error::{LoadError, Result};
use crate::outcome::{Outcome, Point};
use crate::stats::to_f64;
use crate::table::{self, mb};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#6b7686;--rule:#d9dee5;--paper:#fff;--a:#1769aa;--b:#d1621b;--c:#2e8b57}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#98a3b3;--rule:#333c49;--paper:#14181e;--a:#5db3f5;--b:#f29a5c;--c:#67c98f}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-top:1px solid var(--rule);padding-top:1.2rem}
small,.soft{color:var(--soft)}table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid var(--rule);font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}pre{background:color-mix(in srgb,var(--rule) 35%,transparent);padding:.8rem;overflow-x:auto;font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1rem}figure{margin:0}figcaption{font-size:13px}
svg{width:100%;height:auto}svg line{stroke:var(--rule);stroke-width:1}svg text{fill:var(--soft);font-size:11px}
polyline{fill:none;stroke-width:1.6}polyline.a{stroke:var(--a)}polyline.b{stroke:var(--b)}polyline.c{stroke:var(--c)}
span.a{color:var(--a)}span.b{color:var(--b)}span.c{color:var(--c)}.bad{color:#c62828;font-weight:600}";

/// Writes the page.
pub fn write(path: &Path, url: &str, outcomes: &[Outcome]) -> Result<()> {
    fs::write(path, page(url, outcomes)).map_err(LoadError::io(format!("write {}", path.display())))
}

fn page(url: &str, outcomes: &[Outcome]) -> String {
    let now = chrono::DateTime::<chrono::Local>::from(hxa_store::clock::now()).format("%Y-%m-%d %H:%M");
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>hxa-load</title><style>{STYLE}</style><h1>Load report</h1><p class=\"soft\">{} &middot; {now}</p>",
        escape(url)
    );
    summary(&mut out, outcomes);
    outcomes.iter().for_each(|outcome| section(&mut out, outcome));
    out.push_str("</html>\n");
    out
}

fn summary(out: &mut String, outcomes: &[Outcome]) {
    out.push_str(
        "<table><tr><th>scenario</th><th>checks</th><th>ops/s</th><th>deliveries/s</th><th>ops per server CPU s</th>\
         <th>server CPU</th><th>server memory</th><th>generator CPU</th></tr>",
    );
    for outcome in outcomes {
        let verdict = if outcome.ok { "ok" } else { "<span class=\"bad\">failed</span>" };
        let server = outcome.server.as_ref();
        let cell = |value: Option<String>| value.unwrap_or_else(|| "&ndash;".into());
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{verdict}</td><td>{:.0}</td><td>{:.0}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0} %</td></tr>",
            escape(&outcome.scenario),
            outcome.ops_per_s,
            outcome.deliveries_per_s,
            cell(server.map(|server| format!("{:.0}", server.ops_per_cpu_s))),
            cell(server.map(|server| format!("{:.0} %", server.cpu_share * 100.0))),
            cell(server.map(|server| format!("{:.1} &rarr; {:.1} MB", mb(server.rss_before), mb(server.rss_after)))),
            outcome.generator.cpu_share * 100.0,
        );
    }
    out.push_str("</table>");
}

fn section(out: &mut String, outcome: &Outcome) {
    out.push_str("<h2>");
    out.push_str(&escape(&outcome.scenario));
    out.push_str("</h2><div class=\"charts\">");
    let points = &outcome.timeline;
    let line = |name, colour, value: &dyn Fn(&Point) -> Option<f64>| Series {
        name,
        colour,
        points: points.iter().filter_map(|point| Some((point.at, value(point)?))).collect(),
    };
    out.push_str(&chart(
        "Throughput",
        "per second",
        &[
            line("deliveries", "b", &|point| Some(to_f64(point.done.deliveries) / point.length)),
            line("operations", "a", &|point| Some(to_f64(point.done.ops) / point.length)),
        ],
    ));
    out.push_str(&chart(
        "Latency",
        "ms",
        &[
            line("delivery p99", "b", &|point| Some(to_f64(point.done.delivery_p99) / 1000.0)),
            line("ack p99", "c", &|point| Some(to_f64(point.done.p99) / 1000.0)),
            line("ack p50", "a", &|point| Some(to_f64(point.done.p50) / 1000.0)),
        ],
    ));
    let has_server = points.iter().any(|point| point.server_cpu.is_some());
    if has_server {
        let server = line("server", "a", &|point| Some(point.server_cpu? * 100.0));
        let own = line("generator", "b", &|point| Some(point.own_cpu * 100.0));
        out.push_str(&chart("CPU", "% of a core", &[server, own]));
        out.push_str(&chart("Server memory", "MB", &[line("resident", "c", &|point| point.server_rss.map(mb))]));
    }
    out.push_str("</div><pre>");
    out.push_str(&escape(table::text(outcome).trim()));
    out.push_str("</pre>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
