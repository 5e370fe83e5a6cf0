//! Events on their way into the log, those of the till past the memory of redeliveries.

use super::redelivery::{Keys, Redelivery, Seen};
use super::{Pipeline, PipelineError};
use crate::intake::{Incoming, Taken};
use std::time::Duration;
use tillwatch_protocol::pos::PosFlag;
use tillwatch_protocol::{EventBody, Stamp};
use tillwatch_store::{SeenPos, Store};
use tokio::sync::oneshot;

/// How long tills wait for an index that is rebuilt from the whole log. Half a gigabyte takes
/// seconds; a broken index must not keep events out for ever.
const MEMORY_PATIENCE: Duration = Duration::from_secs(120);

/// Resolves when every event that still counts can be recognised, or after [`MEMORY_PATIENCE`].
pub(super) async fn remember(store: Store, now: Stamp) -> Redelivery {
    let reads = store.clone();
    let memory = tokio::task::spawn_blocking(move || Redelivery::load(&reads, now)).await;
    let memory = match memory {
        Ok(Ok(memory)) => memory,
        Ok(Err(why)) => {
            tracing::error!(%why, "the end of the log cannot be read; the index alone recognises redeliveries");
            Redelivery::unknown(now)
        }
        Err(why) => {
            tracing::error!(%why, "reading the end of the log failed; the index alone recognises redeliveries");
            Redelivery::unknown(now)
        }
    };
    if memory.is_complete(&now) {
        return memory;
    }
    let index = store.index();
    let all = index.caught_up(store.last_seq());
    if tokio::time::timeout(MEMORY_PATIENCE, all).await.is_err() {
        metrics::counter!("redelivery_memory_incomplete_total").increment(1);
        tracing::warn!(
            through = index.through().0,
            "the index is still being rebuilt; events that tills send again now may be counted twice"
        );
    }
    memory
}

/// A source that went away does not want to know.
fn reply(answer: Option<oneshot::Sender<Taken>>, taken: Taken) {
    if let Some(answer) = answer {
        let _ = answer.send(taken);
    }
}

/// What the index says; never while nothing was asked.
pub(super) async fn answered(asked: &mut Option<Asked>) -> SeenPos {
    match asked {
        // A panic in the index is caught and reported there; here it knows nothing.
        Some(asked) => (&mut asked.answer).await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// An event of the till that only the index can tell about. The bulk lane waits for it, witnesses
/// do not.
pub(super) struct Asked {
    incoming: Incoming,
    keys: Keys,
    answer: tokio::task::JoinHandle<SeenPos>,
}

impl Pipeline {
    pub(super) async fn take(&mut self, incoming: Incoming) -> Result<(), PipelineError> {
        let EventBody::Pos(event) = &incoming.body else {
            let seq = self.event(incoming.stamp, incoming.body).await?;
            reply(incoming.answer, Taken::New(seq));
            return Ok(());
        };
        let keys = Keys::of(event);
        let memory = self.redelivery.get_or_insert_default();
        match memory.seen(&keys, &incoming.stamp) {
            Seen::AskIndex => {
                let (store, event) = (self.shared.store.clone(), event.clone());
                let answer = tokio::task::spawn_blocking(move || store.index().seen_pos(&event));
                self.asked = Some(Asked {
                    incoming,
                    keys,
                    answer,
                });
                Ok(())
            }
            seen => self.take_pos(incoming, keys, seen).await,
        }
    }

    /// Goes on with what the index was asked about.
    pub(super) async fn answer_came(&mut self, of_index: SeenPos) -> Result<(), PipelineError> {
        let Some(asked) = self.asked.take() else {
            return Ok(());
        };
        metrics::counter!("redelivery_index_asked_total").increment(1);
        let memory = self.redelivery.get_or_insert_default();
        let seen = memory.judge(&asked.keys, &asked.incoming.stamp, of_index);
        self.take_pos(asked.incoming, asked.keys, seen).await
    }

    async fn take_pos(
        &mut self,
        incoming: Incoming,
        keys: Keys,
        seen: Seen,
    ) -> Result<(), PipelineError> {
        let Incoming {
            stamp,
            mut body,
            answer,
        } = incoming;
        if let Seen::Again(seq) = seen {
            metrics::counter!("pos_events_redelivered_total").increment(1);
            reply(answer, Taken::Again(seq));
            return Ok(());
        }
        if let (Seen::IdReused, EventBody::Pos(event)) = (seen, &mut body) {
            event.flags.push(PosFlag::IdReused);
        }
        let seq = self.event(stamp, body).await?;
        let indexed = self.shared.store.index().through();
        if let Some(memory) = &mut self.redelivery {
            memory.remember(keys, &stamp, seq, indexed);
        }
        reply(answer, Taken::New(seq));
        Ok(())
    }
}
