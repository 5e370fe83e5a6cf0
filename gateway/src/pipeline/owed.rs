//! Alerts that head office was never told of, because the outbox was full when they were raised:
//! their messages are made when room returns, the oldest first, always of the newest revision.
//!
//! Which they are stands in the index, so a restart forgets nothing. A message becomes part of the
//! log in one piece, and the next look waits for the index to have seen it: each revision is told
//! once. Where another revision comes at the same moment, head office keeps the higher one.

use super::outcome::Messages;
use super::told::Told;
use crate::Shared;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{Alert, Seq};
use tillwatch_store::{AppendError, Store, Urgency};
use tokio::sync::Notify;

/// Alerts looked up at once.
const AT_ONCE: usize = 64;
/// How often a full outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a look came to.
enum Look {
    /// Nothing is owed.
    Nothing,
    /// Some messages were made; there may be more to make.
    Some,
    /// The outbox has no room for the next one.
    Full,
    /// The store was closed.
    Closed,
}

/// Looks at the start, and whenever `refused` says that alerts were logged without a message.
pub(super) async fn run(shared: Shared, refused: Arc<Notify>) -> Infallible {
    // Nothing here is worth opening the index early for.
    shared.store.index().opened().await;
    loop {
        let through = shared.store.last_seq();
        shared.store.index().caught_up(through).await;
        match look(&shared, through).await {
            Look::Nothing => refused.notified().await,
            Look::Some => {}
            Look::Full => room(&shared.store).await,
            Look::Closed => std::future::pending().await,
        }
    }
}

/// Resolves when something left the outbox.
async fn room(store: &Store) {
    let held = || {
        let outbox = store.outbox();
        (outbox.depth().iter().sum::<u64>(), outbox.bytes())
    };
    let full = held();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = held();
        if now.0 < full.0 || now.1 < full.1 {
            return;
        }
    }
}

async fn look(shared: &Shared, through: Seq) -> Look {
    let store = shared.store.clone();
    let owed = tokio::task::spawn_blocking(move || {
        let index = store.index();
        index.alerts_without_message(through, AT_ONCE)
    });
    let Ok(owed) = owed.await else {
        return Look::Nothing;
    };
    if owed.is_empty() {
        return Look::Nothing;
    }
    let mut messages = Messages::new(shared, Told::default());
    messages.minor_digits = shared.config.borrow().minor_digits();
    for alert in owed {
        if let Err(look) = tell(shared, &messages, &alert).await {
            return look;
        }
        metrics::counter!("alerts_told_late_total").increment(1);
    }
    Look::Some
}

async fn tell(shared: &Shared, messages: &Messages, alert: &Alert) -> Result<(), Look> {
    loop {
        let stamp = shared.clock.stamp();
        let appended = shared.store.append_with(Urgency::Now, |numbers| {
            vec![messages.of_alert(alert, stamp, numbers)]
        });
        match appended {
            Ok(_) => return Ok(()),
            Err(AppendError::Full { .. }) => shared.store.room().await,
            Err(AppendError::OutboxFull { .. }) => return Err(Look::Full),
            Err(AppendError::Closed) => return Err(Look::Closed),
            Err(error) => {
                tracing::error!(%error, "an alert's message is not made");
                return Err(Look::Full);
            }
        }
    }
}
