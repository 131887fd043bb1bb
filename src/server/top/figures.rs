//! From the text of `/metrics` to figures for people: sums, rates between two readings, quantiles of histograms.

use std::collections::BTreeMap;
use std::time::Instant;

/// One reading of the metrics.
#[derive(Debug, Clone)]
pub struct Reading {
    at: Instant,
    series: Vec<Series>,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Series {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Reading {
    /// Takes what it understands; lines that it does not are left out.
    pub fn parse(text: &str, at: Instant) -> Self {
        Self { at, series: text.lines().filter_map(series).collect() }
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| series.name == name)
    }

    fn sum(&self, name: &str) -> f64 {
        // An empty sum of floats is minus zero.
        self.of(name).map(|series| series.value).sum::<f64>() + 0.0
    }

    fn sum_where(&self, name: &str, label: &str, is_meant: impl Fn(&str) -> bool) -> f64 {
        self.of(name).filter(|series| series.label(label).is_some_and(&is_meant)).map(|series| series.value).sum()
    }

    fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for series in self.of(name) {
            *sums.entry(series.label(label).unwrap_or_default().to_owned()).or_insert(0.0) += series.value;
        }
        sums
    }

    /// Upper bounds and cumulative counts, smallest bound first.
    fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let name = format!("{name}_bucket");
        let bounds = self.of(&name).filter_map(|series| Some((series.label("le")?.parse::<f64>().ok()?, series.value)));
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (bound, count) in bounds {
            match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }
}

/// `name{label="value",…} 1.5`; what could steer a terminal is taken out of the labels.
fn series(line: &str) -> Option<Series> {
    let (head, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = head.split_once('{').unwrap_or((head, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = labels.map(|(label, value)| {
        let value = value.trim_end_matches('"').chars().filter(|c| !c.is_control()).collect();
        (label.to_owned(), value)
    });
    Some(Series { name: name.to_owned(), labels: labels.collect(), value: value.parse().ok()? })
}

/// Two points of a histogram's distribution, in seconds; `None` when nothing was observed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// The median.
    pub p50: Option<f64>,
    /// 99 of 100 are no larger.
    pub p99: Option<f64>,
}

/// What is shown; rates are per second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    pub version: String,
    pub is_database_up: bool,
    pub sockets: BTreeMap<String, f64>,
    pub connects: f64,
    pub slow: f64,
    pub messages: f64,
    pub events: f64,
    pub ops: f64,
    pub acks: f64,
    pub commits: f64,
    pub rows: f64,
    pub commit: Spread,
    pub commit_queue: f64,
    pub read: Spread,
    pub read_queue: f64,
    pub connections: BTreeMap<String, f64>,
    pub requests: f64,
    pub failures: f64,
    pub limited: f64,
    pub errors: BTreeMap<String, f64>,
    pub webhooks: BTreeMap<String, f64>,
    pub actors: BTreeMap<String, f64>,
    pub panics: f64,
}

/// Events that are messages.
const MESSAGES: [&str; 2] = ["message", "thread_message"];

impl Figures {
    /// Gauges of the later reading, rates between the two.
    pub fn between(before: &Reading, now: &Reading) -> Self {
        let seconds = now.at.saturating_duration_since(before.at).as_secs_f64();
        let per_second = |now: f64, before: f64| rate(now, before, seconds);
        let rate_of = |name: &str| per_second(now.sum(name), before.sum(name));
        let part = |name: &str, label: &str, is_meant: &dyn Fn(&str) -> bool| {
            per_second(now.sum_where(name, label, is_meant), before.sum_where(name, label, is_meant))
        };
        let rates_by = |name: &str, label: &str| {
            let earlier = before.by(name, label);
            let rates = now.by(name, label).into_iter().map(|(key, count)| {
                let rate = per_second(count, earlier.get(&key).copied().unwrap_or(0.0));
                (key, rate)
            });
            rates.collect()
        };
        Self {
            version: now.of("hub_build_info").find_map(|series| series.label("version")).unwrap_or("?").to_owned(),
            is_database_up: now.sum("hub_db_up") > 0.0,
            sockets: now.by("hub_ws_sessions", "kind"),
            connects: rate_of("hub_ws_connects_total"),
            slow: now.sum("hub_ws_slow_total"),
            messages: part("hub_events_total", "type", &|kind| MESSAGES.contains(&kind)),
            events: rate_of("hub_events_total"),
            ops: rate_of("hub_ws_ops_total"),
            acks: rate_of("hub_ws_acks_total"),
            commits: rate_of("hub_commit_seconds_count"),
            rows: rate_of("hub_commit_batch_rows_sum"),
            commit: spread(before, now, "hub_commit_seconds"),
            commit_queue: now.sum("hub_commit_queue"),
            read: spread(before, now, "hub_read_seconds"),
            read_queue: now.sum("hub_read_queue"),
            connections: now.by("hub_db_connections", "state"),
            requests: rate_of("hub_http_requests_total"),
            failures: part("hub_http_requests_total", "status", &|status| status.starts_with('5')),
            limited: rate_of("hub_rate_limited_total"),
            errors: rates_by("hub_ws_errors_total", "code"),
            webhooks: rates_by("hub_webhook_deliveries_total", "result"),
            actors: now.by("hub_actors", "kind"),
            panics: now.sum("hub_actor_panics_total"),
        }
    }
}

/// A counter that is smaller than before began anew with its hub.
fn rate(now: f64, before: f64, seconds: f64) -> f64 {
    let grown = if now < before { now } else { now - before };
    if seconds > 0.0 { grown / seconds } else { 0.0 }
}

/// The distribution of what was observed between two readings, or ever when nothing was.
fn spread(before: &Reading, now: &Reading, name: &str) -> Spread {
    let (earlier, later) = (before.buckets(name), now.buckets(name));
    let earlier_of =
        |bound: f64| earlier.iter().find(|(known, _)| known.total_cmp(&bound).is_eq()).map_or(0.0, |b| b.1);
    let grown: Vec<(f64, f64)> = later.iter().map(|(bound, count)| (*bound, count - earlier_of(*bound))).collect();
    let has_grown = grown.last().is_some_and(|(_, count)| *count > 0.0) && grown.iter().all(|(_, count)| *count >= 0.0);
    let buckets = if has_grown { &grown } else { &later };
    Spread { p50: quantile(buckets, 0.5), p99: quantile(buckets, 0.99) }
}

/// As Prometheus does it: linear within the bucket, the largest finite bound beyond it.
fn quantile(buckets: &[(f64, f64)], share: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let wanted = share * total;
    let (mut below, mut counted) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= wanted && *count > counted {
            let is_open = bound.is_infinite();
            return Some(if is_open {
                below
            } else {
                below + (bound - below) * (wanted - counted) / (count - counted)
            });
        }
        (below, counted) = (*bound, *count);
    }
    Some(below)
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use super::*;

    const BEFORE: &str = include_str!("figures/before.txt");
    const AFTER: &str = include_str!("figures/after.txt");

    pub fn sample() -> Figures {
        let at = Instant::now();
        Figures::between(&Reading::parse(BEFORE, at), &Reading::parse(AFTER, at + Duration::from_secs(2)))
    }

    #[test]
    fn rates_and_gauges() {
        let figures = sample();
        assert_eq!((figures.version.as_str(), figures.is_database_up), ("0.1.0", true));
        assert_eq!(figures.sockets, BTreeMap::from([("bot_token".to_owned(), 12.0), ("session".to_owned(), 3.0)]));
        assert_eq!((figures.messages, figures.events, figures.acks), (150.0, 160.0, 75.0));
        assert_eq!((figures.requests, figures.failures), (50.0, 5.0));
        assert_eq!(figures.errors["FORBIDDEN"], 1.0);
        assert_eq!((figures.commits, figures.rows, figures.commit_queue), (50.0, 400.0, 7.0));
    }

    #[test]
    fn quantiles_are_of_what_came_between() {
        let figures = sample();
        let close = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(close(figures.commit.p50, 0.001) && close(figures.commit.p99, 0.00492), "{:?}", figures.commit);
        assert_eq!(figures.read, Spread::default(), "nothing was read");
        let open = [(1.0, 1.0), (f64::INFINITY, 2.0)];
        assert_eq!((quantile(&open, 0.25), quantile(&open, 0.99)), (Some(0.5), Some(1.0)));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_hub_that_began_anew_has_no_negative_rates() {
        let at = Instant::now();
        let (old, new) = (Reading::parse(AFTER, at), Reading::parse(BEFORE, at + Duration::from_secs(1)));
        let figures = Figures::between(&old, &new);
        assert!(figures.events >= 0.0 && figures.commit.p99.is_some_and(|p99| p99 >= 0.0));
        assert_eq!(Figures::between(&old, &old).events, 0.0);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let text = "hub_x{a=\"1\",b=\"\u{1b}[2J,x\"} 2\n# HELP\nnonsense\nhub_y nan?\nhub_z 3 \n\nhub_v 4";
        let reading = Reading::parse(text, Instant::now());
        let names: Vec<&str> = reading.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["hub_x", "hub_v"]);
        assert_eq!(reading.series[0].label("b"), Some("[2J,x"));
    }
}
