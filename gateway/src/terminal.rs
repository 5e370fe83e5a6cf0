//! What a person at the terminal sees while the gateway runs: alert blocks as they come and the
//! status line in place.

use crate::Shared;
use crate::health::PartState;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tillwatch_protocol::Record;
use tokio_util::sync::CancellationToken;

/// The status line in place is renewed this often.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The status line: `Frames: 1800 | FPS: 29.8 | POS Events: 42 | Alerts: 3 | Drops: 2`.
#[must_use]
pub fn status_line(shared: &Shared, fps: f64) -> String {
    let health = &shared.health;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "Frames: {} | FPS: {fps:.1} | POS Events: {} | Alerts: {} | Drops: {}",
        count(&health.frames),
        count(&health.pos_events),
        count(&health.alerts),
        shared.frames_dropped(),
    )
}

/// Frames a second of all cameras together, since it was asked last.
#[derive(Debug, Default)]
pub struct FrameRate {
    frames: u64,
    at_ns: u64,
}

impl FrameRate {
    /// Now.
    pub fn now(&mut self, shared: &Shared) -> f64 {
        let frames = shared.health.frames.load(Ordering::Relaxed);
        self.at(frames, crate::clock::monotonic_ns())
    }

    #[allow(clippy::cast_precision_loss)] // counts of seconds
    fn at(&mut self, frames: u64, now_ns: u64) -> f64 {
        let new = frames.saturating_sub(self.frames);
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        let first = self.at_ns == 0;
        (self.frames, self.at_ns) = (frames, now_ns);
        if first || passed_ns == 0 {
            return 0.0;
        }
        new as f64 * 1e9 / passed_ns as f64
    }
}

/// Writes whole blocks to standard output and keeps the status line below them.
pub struct Terminal {
    in_place: bool,
    line: String,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            in_place: std::io::stdout().is_terminal(),
            line: String::new(),
        }
    }
}

impl Terminal {
    /// Shows a block of text above the status line.
    pub fn block(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        if self.in_place {
            let _ = write!(out, "\r\x1b[K");
        }
        let _ = writeln!(out, "{}", text.trim_end());
        if self.in_place {
            let _ = write!(out, "{}", self.line);
        }
        let _ = out.flush();
    }

    /// Renews the status line; without a terminal nothing is shown, the log has it.
    pub fn status(&mut self, line: String) {
        if !self.in_place {
            return;
        }
        self.line = line;
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{}", self.line);
        let _ = out.flush();
    }

    /// Leaves the last status line standing.
    pub fn end(&mut self) {
        if self.in_place {
            let _ = writeln!(std::io::stdout());
        }
    }
}

/// Shows alerts and the status line until `shutdown`. `news` are further blocks to show.
pub async fn show(
    shared: Shared,
    mut news: tokio::sync::mpsc::Receiver<String>,
    shutdown: CancellationToken,
) {
    let mut terminal = Terminal::default();
    let mut live = shared.live.subscribe();
    let mut every = tokio::time::interval(STATUS_EVERY);
    let mut rate = FrameRate::default();
    let minor_digits = shared.config.borrow().minor_digits();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(block) = news.recv() => terminal.block(&block),
            item = live.recv() => match item {
                Ok(item) => {
                    if let Record::Alert(alert) = item.record.as_ref() {
                        terminal.block(&alert_block(alert, minor_digits));
                    } else if let Record::Notice(notice) = item.record.as_ref() {
                        terminal.block(&format!("notice: {}", notice.text));
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(lost)) => {
                    terminal.block(&format!("({lost} live items were too fast to show; `tillwatch events` has them)"));
                }
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
            },
            _ = every.tick() => terminal.status(format!("{}{}", status_line(&shared, rate.now(&shared)), trouble(&shared))),
        }
    }
    terminal.end();
}

/// An alert as a block with a heading.
#[must_use]
pub fn alert_block(alert: &tillwatch_protocol::Alert, minor_digits: u8) -> String {
    let revision = if alert.revision == 1 {
        String::new()
    } else {
        format!(" (revision {})", alert.revision)
    };
    format!(
        "\n=== ALERT{revision} ===\n{}",
        alert.text_block(minor_digits)
    )
}

fn trouble(shared: &Shared) -> String {
    let down: Vec<&str> = shared
        .health
        .parts()
        .into_iter()
        .filter(|(_, part)| matches!(part.state, PartState::Down { .. }))
        .map(|(name, _)| name)
        .collect();
    if down.is_empty() {
        String::new()
    } else {
        format!(" | down: {}", down.join(", "))
    }
}

/// One sentence on standard error, for a person.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "tillwatch: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_since_it_was_asked_last() {
        let mut rate = FrameRate::default();
        let rates = [(30, 1), (60, 2), (60, 3), (120, 5)]
            .map(|(frames, s)| rate.at(frames, s * 1_000_000_000));
        assert_eq!(rates, [0.0, 30.0, 0.0, 30.0]);
    }
}
