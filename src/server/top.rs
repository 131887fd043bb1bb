//! `hxa-connect top`: live statistics of a hub, read from its `/metrics` and drawn in the terminal once a second.
//!
//! It needs no credential and changes nothing. `figures` turns two readings of the metrics into one set of figures,
//! `screen` draws them; both are pure. This file does the I/O: the network, the keyboard and the terminal, which is
//! always restored at the end.

mod figures;
mod screen;

use std::time::{Duration, Instant};

use hxa_client::Client;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};

use figures::{Figures, Reading};
use screen::Screen;

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Size of the frame that `--once` prints.
const PLAIN: (u16, u16) = (80, 24);

/// Where to look, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The hub's URL, with its base path if it has one.
    pub url: String,
    /// Seconds between two readings.
    pub seconds: u64,
}

struct Source {
    hub: Client,
    url: String,
    runtime: tokio::runtime::Runtime,
}

impl Source {
    fn new(watch: &Watch) -> Result<Self, String> {
        let url = watch.url.trim_end_matches('/').trim_end_matches("/metrics");
        let hub = Client::builder(url).timeout(PATIENCE).tries(1).build().map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot make a runtime: {error}"))?;
        Ok(Self { hub, url: format!("{url}/metrics"), runtime })
    }

    fn read(&self) -> Result<Reading, String> {
        let answer = self.runtime.block_on(self.hub.metrics());
        let at = Instant::now();
        match answer {
            Ok(text) => Ok(Reading::parse(&String::from_utf8_lossy(&text), at)),
            Err(error) => Err(format!("{}: {}", self.url, reason(&error))),
        }
    }
}

fn reason(error: &hxa_client::Error) -> String {
    match error.api().map(|refusal| refusal.status) {
        Some(404) => "it has no metrics there (server.metrics may be off, or the path be wrong)".to_owned(),
        Some(status) => format!("it answered with status {status}"),
        None => error.to_string(),
    }
}

/// Reads twice and gives one frame as plain text.
///
/// # Errors
/// When the hub cannot be read.
pub fn once(watch: &Watch) -> Result<String, String> {
    let source = Source::new(watch)?;
    let first = source.read()?;
    std::thread::sleep(Duration::from_secs(watch.seconds));
    let figures = Figures::between(&first, &source.read()?);
    Ok(Screen { url: &watch.url, figures: Some(&figures), problem: None }.to_text(PLAIN))
}

/// Draws until `q`, Escape or Ctrl-C.
///
/// # Errors
/// When the URL is no URL, or the terminal cannot be used.
pub fn run(watch: &Watch) -> Result<(), String> {
    let source = Source::new(watch)?;
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal cannot be used: {error}"))?;
    let outcome = draw(&mut terminal, &source, watch);
    ratatui::try_restore().map_err(|error| format!("the terminal cannot be put back in order: {error}"))?;
    outcome
}

fn draw(terminal: &mut ratatui::DefaultTerminal, source: &Source, watch: &Watch) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("the terminal cannot be used: {error}");
    let (mut before, mut figures): (Option<Reading>, Option<Figures>) = (None, None);
    loop {
        let next = Instant::now() + Duration::from_secs(watch.seconds);
        let problem = match source.read() {
            Ok(reading) => {
                figures = Some(Figures::between(before.as_ref().unwrap_or(&reading), &reading));
                before = Some(reading);
                None
            }
            Err(problem) => Some(problem),
        };
        let screen = Screen { url: &watch.url, figures: figures.as_ref(), problem: problem.as_deref() };
        loop {
            terminal.draw(|frame| frame.render_widget(&screen, frame.area())).map_err(broken)?;
            let left = next.saturating_duration_since(Instant::now());
            if !event::poll(left).map_err(broken)? {
                break;
            }
            if is_end(&event::read().map_err(broken)?) {
                return Ok(());
            }
        }
    }
}

fn is_end(event: &Event) -> bool {
    let Some(key) = event.as_key_press_event() else { return false };
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) || (with_control && key.code == KeyCode::Char('c'))
}
