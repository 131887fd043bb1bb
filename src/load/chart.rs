//! Line charts as inline SVG: a few series over time on one axis, nothing external.

use std::fmt::Write;

use crate::stats::{to_f64, to_u64};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;
/// Grid lines of the value axis.
const STEPS: u32 = 4;

/// One line of a chart.
pub struct Series<'a> {
    /// What the legend says.
    pub name: &'a str,
    /// Class of its colour: `a`, `b` or `c`.
    pub colour: &'a str,
    /// (seconds, value).
    pub points: Vec<(f64, f64)>,
}

/// A chart with a title; nothing if there is nothing to show.
pub fn chart(title: &str, unit: &str, series: &[Series<'_>]) -> String {
    let all = || series.iter().flat_map(|line| line.points.iter());
    let end = all().map(|point| point.0).fold(0.0, f64::max);
    let top = ceiling(all().map(|point| point.1).fold(0.0, f64::max));
    if end <= 0.0 {
        return String::new();
    }
    let mut out = format!(r#"<figure><figcaption>{title} <small>{unit}</small>"#);
    for line in series {
        push(&mut out, format_args!(r#" <span class="{}">&#9632;</span> {}"#, line.colour, line.name));
    }
    push(&mut out, format_args!(r#"</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#));
    grid(&mut out, end, top);
    for line in series {
        let points: Vec<String> =
            line.points.iter().map(|(at, value)| format!("{:.1},{:.1}", across(*at, end), up(*value, top))).collect();
        push(&mut out, format_args!(r#"<polyline class="{}" points="{}"/>"#, line.colour, points.join(" ")));
    }
    out.push_str("</svg></figure>");
    out
}

fn grid(out: &mut String, end: f64, top: f64) {
    for step in 0..=STEPS {
        let value = top * f64::from(step) / f64::from(STEPS);
        let y = up(value, top);
        push(out, format_args!(r#"<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}"/>"#));
        push(
            out,
            format_args!(r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#, LEFT - 6.0, y + 4.0, short(value)),
        );
    }
    for step in 0..=STEPS {
        let at = end * f64::from(step) / f64::from(STEPS);
        let anchor = if step == STEPS { "end" } else { "middle" };
        let x = across(at, end);
        push(
            out,
            format_args!(
                r#"<text x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{} s</text>"#,
                HEIGHT - 6.0,
                short((at * 10.0).round() / 10.0)
            ),
        );
    }
}

fn across(at: f64, end: f64) -> f64 {
    LEFT + at / end * (WIDTH - LEFT)
}

fn up(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)
}

/// The next 1, 2 or 5 times a power of ten.
fn ceiling(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(0.001).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|top| *top >= value).unwrap_or(10.0 * power)
}

fn short(value: f64) -> String {
    match value {
        large if large >= 1_000_000.0 => format!("{:.1}M", large / 1_000_000.0),
        large if large >= 10_000.0 => format!("{:.0}k", large / 1000.0),
        exact if (exact - to_f64(to_u64(exact))).abs() < 0.001 => format!("{exact:.0}"),
        small => format!("{small:.2}").trim_end_matches('0').to_owned(),
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_ceilings() {
        for (value, top) in [(0.9, 1.0), (1.0, 1.0), (1.5, 2.0), (3.0, 5.0), (70.0, 100.0), (25_300.0, 50_000.0)] {
            assert!((ceiling(value) - top).abs() < 1e-9, "{value} -> {}", ceiling(value));
        }
    }
}
