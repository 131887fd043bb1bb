//! The output of log lines: a bounded buffer that one thread writes out.
//!
//! Writing to standard error blocks while its reader (a journal, a container runtime, a terminal) does not read, and
//! would block every thread that serves. So threads only append to the buffer; if it is full, lines are dropped and
//! counted, and the log reports the number as soon as it can be written again.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Bytes that may wait to be written: minutes of an ordinary log, a moment of one at debug level.
const CAPACITY: usize = 4 * 1024 * 1024;

/// The buffer of this process.
static SINK: OnceLock<Sink> = OnceLock::new();

/// A bounded buffer of whole lines. Clones share it.
#[derive(Clone)]
pub(super) struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    state: Mutex<State>,
    /// Something was appended, or everything has been written.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines dropped that the log has not told of yet.
    untold: u64,
    dropped: u64,
    is_writing: bool,
}

impl Sink {
    /// A sink that a thread of its own writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    fn start(capacity: usize, out: Box<dyn Write + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared { capacity, state: Mutex::default(), changed: Condvar::new() });
        let sink = Self { shared: shared.clone() };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_out(out))?;
        Ok(sink)
    }

    /// Appends a line, or drops it when there is no room.
    fn append(&self, line: &[u8]) {
        let mut state = self.shared.state.lock();
        if state.waiting.len().saturating_add(line.len()) > self.shared.capacity {
            state.untold += 1;
            state.dropped += 1;
        } else {
            state.waiting.extend_from_slice(line);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything has been written, but no longer than `most`.
    fn flush(&self, most: Duration) {
        let end = Instant::now() + most;
        let mut state = self.shared.state.lock();
        while (state.is_writing || !state.waiting.is_empty())
            && !self.shared.changed.wait_until(&mut state, end).timed_out()
        {}
    }
}

impl Shared {
    fn write_out(&self, mut out: Box<dyn Write + Send>) {
        loop {
            let (lines, untold) = self.take();
            // Nobody is left to tell when the log itself cannot be written.
            let _ = out.write_all(&lines);
            if untold > 0 {
                // In the order in which things happened: the lines before it were kept, those after it were not.
                log::warn!(lines = untold; "log lines were dropped because the log was not read fast enough");
            }
            let _ = out.flush();
            self.state.lock().is_writing = false;
            self.changed.notify_all();
        }
    }

    /// Waits for lines and takes all that wait.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            self.changed.wait(&mut state);
        }
        state.is_writing = true;
        (std::mem::take(&mut state.waiting), std::mem::take(&mut state.untold))
    }
}

/// What the logger writes to; each call is one whole line.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the sink of this process; a second call gives the first one's.
///
/// # Errors
/// When no thread can be started.
pub(super) fn start(out: Box<dyn Write + Send>) -> io::Result<Sink> {
    if let Some(sink) = SINK.get() {
        return Ok(sink.clone());
    }
    let sink = Sink::start(CAPACITY, out)?;
    Ok(SINK.get_or_init(|| sink).clone())
}

/// Waits until the log has been written, but no longer than `most`: before the process ends.
pub fn flush(most: Duration) {
    if let Some(sink) = SINK.get() {
        sink.flush(most);
    }
}

/// Lines that were dropped since the start because the log was not read fast enough.
#[must_use]
pub fn dropped() -> u64 {
    SINK.get().map_or(0, |sink| sink.shared.state.lock().dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes nothing until it is let go.
    struct Stalled(std::sync::mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_no_time() {
        let (go, stalled) = std::sync::mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::start(20, Box::new(Stalled(stalled, written.clone()))).unwrap();
        sink.append(b"first\n");
        while !sink.shared.state.lock().is_writing {
            std::thread::yield_now();
        }
        for line in [&b"second line\n"[..], b"does not fit\n", b"fits\n"] {
            sink.append(line);
        }
        sink.flush(Duration::from_millis(1));
        assert!(written.lock().is_empty());
        assert_eq!(sink.shared.state.lock().dropped, 1);
        drop(go);
        sink.flush(Duration::from_secs(10));
        assert_eq!(written.lock().as_slice(), b"first\nsecond line\nfits\n");
    }
}
