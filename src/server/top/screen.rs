//! The screen of `hxa-connect top`: figures in six boxes below a line that names the hub.
//!
//! Pure: figures in, cells out. The same drawing serves the terminal, the plain frame of `--once` and the tests.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Widget};

use super::figures::Figures;

/// Rows of a box, with its frame.
const BOX: u16 = 7;
/// Most entries of a list of codes or kinds.
const LISTED: usize = 5;

/// What is to be drawn.
pub struct Screen<'a> {
    /// The hub, as it was named.
    pub url: &'a str,
    /// The newest figures, if any were read.
    pub figures: Option<&'a Figures>,
    /// Why they are not newer.
    pub problem: Option<&'a str>,
}

impl Screen<'_> {
    /// The screen as lines of text.
    pub fn to_text(&self, (width, height): (u16, u16)) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        self.render(buffer.area, &mut buffer);
        let row = |y| {
            let cells = (0..width).filter_map(|x| buffer.cell((x, y)));
            let text: String = cells.map(ratatui::buffer::Cell::symbol).collect();
            text.trim_end().to_owned() + "\n"
        };
        let text: String = (0..height).map(row).collect();
        text.trim_end().to_owned() + "\n"
    }

    fn title(&self) -> Line<'_> {
        let version = self.figures.map_or("?", |figures| figures.version.as_str());
        let state = match (self.problem, self.figures) {
            (Some(problem), _) => problem.to_owned().fg(Color::Red),
            (None, Some(figures)) if !figures.is_database_up => "database away".to_owned().fg(Color::Red),
            _ => "up".to_owned().fg(Color::Green),
        };
        Line::from(vec![format!("HXA Connect {version}  {}  ", self.url).bold(), state])
    }
}

impl Widget for &Screen<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let rows = [
            Constraint::Length(1),
            Constraint::Length(BOX),
            Constraint::Length(BOX),
            Constraint::Length(BOX),
            Constraint::Length(1),
        ];
        let [title, top, middle, bottom, keys] = Layout::vertical(rows).areas(area);
        self.title().render(title, buffer);
        Line::from("q quits").dim().render(keys, buffer);
        let Some(figures) = self.figures else { return };
        let boxes = [
            [("Sockets", sockets(figures)), ("Messages", messages(figures))],
            [("Commits", commits(figures)), ("Reads", reads(figures))],
            [("Refused", refused(figures)), ("Behind", behind(figures))],
        ];
        for (area, pair) in [top, middle, bottom].into_iter().zip(boxes) {
            let halves: [Rect; 2] = Layout::horizontal([Constraint::Fill(1); 2]).areas(area);
            for (area, (name, entries)) in halves.into_iter().zip(pair) {
                draw(name, &entries, area, buffer);
            }
        }
    }
}

type Entries = Vec<(String, String)>;

fn draw(name: &str, entries: &Entries, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width.saturating_sub(4));
    let lines = entries.iter().map(|(label, value)| {
        let label_width = width.saturating_sub(value.chars().count());
        Line::from(format!(" {label:<label_width$.label_width$}{value}"))
    });
    let frame = Block::bordered().title(format!(" {name} ")).border_style(Style::new().dim());
    Paragraph::new(lines.collect::<Vec<_>>()).block(frame).render(area, buffer);
}

fn entry(label: &str, value: String) -> (String, String) {
    (label.to_owned(), value)
}

fn sockets(figures: &Figures) -> Entries {
    let mut entries = vec![entry("live", count(figures.sockets.values().sum()))];
    entries.extend(figures.sockets.iter().map(|(kind, live)| entry(&format!("  {kind}"), count(*live))));
    entries.push(entry("opened /s", per_second(figures.connects)));
    entries.push(entry("slow consumers, ever", count(figures.slow)));
    entries
}

fn messages(figures: &Figures) -> Entries {
    vec![
        entry("messages /s", per_second(figures.messages)),
        entry("all events /s", per_second(figures.events)),
        entry("socket operations /s", per_second(figures.ops)),
        entry("acknowledged /s", per_second(figures.acks)),
        entry("requests /s", per_second(figures.requests)),
    ]
}

fn commits(figures: &Figures) -> Entries {
    vec![
        entry("commits /s", per_second(figures.commits)),
        entry("rows /s", per_second(figures.rows)),
        entry("p50", time(figures.commit.p50)),
        entry("p99", time(figures.commit.p99)),
        entry("waiting", count(figures.commit_queue)),
    ]
}

fn reads(figures: &Figures) -> Entries {
    let state = |name: &str| count(figures.connections.get(name).copied().unwrap_or(0.0));
    vec![
        entry("p50", time(figures.read.p50)),
        entry("p99", time(figures.read.p99)),
        entry("waiting", count(figures.read_queue)),
        entry("connections busy", state("busy")),
        entry("connections idle", state("idle")),
    ]
}

fn refused(figures: &Figures) -> Entries {
    let mut entries = vec![
        entry("answers 5xx /s", per_second(figures.failures)),
        entry("by a limit /s", per_second(figures.limited)),
    ];
    let left = LISTED.saturating_sub(entries.len());
    entries.extend(largest(&figures.errors, left).map(|(code, rate)| entry(&format!("{code} /s"), per_second(rate))));
    entries
}

fn behind(figures: &Figures) -> Entries {
    let mut entries = vec![entry("actor panics, ever", count(figures.panics))];
    entries.extend(largest(&figures.actors, 2).map(|(kind, alive)| entry(&format!("{kind} actors"), count(alive))));
    entries.extend(
        largest(&figures.webhooks, 2).map(|(kind, rate)| entry(&format!("webhooks {kind} /s"), per_second(rate))),
    );
    entries
}

/// The largest first.
fn largest(of: &BTreeMap<String, f64>, most: usize) -> impl Iterator<Item = (&str, f64)> {
    let mut entries: Vec<(&str, f64)> = of.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    entries.sort_by(|a, b| b.1.total_cmp(&a.1));
    entries.into_iter().take(most)
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

fn per_second(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.2} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::figures::tests::sample;
    use super::*;

    #[test]
    fn the_screen_is_drawn() {
        let figures = sample();
        let screen = Screen { url: "http://hub.example.com", figures: Some(&figures), problem: None };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| frame.render_widget(&screen, frame.area())).unwrap();
        insta::assert_snapshot!("screen", terminal.backend());
    }

    #[test]
    fn the_plain_frame_has_the_same_words_and_small_terminals_are_no_failure() {
        let figures = sample();
        let screen = Screen { url: "http://hub", figures: Some(&figures), problem: Some("connection refused") };
        let text = screen.to_text((80, 24));
        for part in ["connection refused", "messages /s", "150", "1.00 ms", "4.92 ms", "FORBIDDEN /s", "40", "q quits"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80) && !text.contains('\u{1b}'));
        for size in [(0, 0), (1, 1), (20, 5), (300, 100)] {
            screen.to_text(size);
        }
        let nothing = Screen { url: "http://hub", figures: None, problem: Some("away") };
        assert!(nothing.to_text((80, 24)).contains("away"));
    }
}
