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
        count(&health.frames_dropped),
    )
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
            _ = every.tick() => terminal.status(format!("{}{}", status_line(&shared, 0.0), trouble(&shared))),
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
