//! The two bounded lanes into the pipeline: witnesses first, bulk after.

use tillwatch_protocol::{EventBody, Seq, Stamp};
use tokio::sync::{mpsc, oneshot};

/// Places in the witnesses' lane; devices make a few events a second, so this is minutes.
pub const WITNESS_LANE: usize = 4_096;
/// Places in the bulk lane; when it is full, bulk sources are paused, nothing is dropped.
pub const BULK_LANE: usize = 1_024;

/// What the pipeline did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// In the log at this position; on disk when `durable_through` says so.
    New(Seq),
    /// A redelivery of the event at this position.
    Again(Seq),
    /// Of another register or store: counted, and not ours.
    NotOurs,
}

/// An event on its way in.
#[derive(Debug)]
pub struct Incoming {
    /// When it happened.
    pub stamp: Stamp,
    /// What happened.
    pub body: EventBody,
    /// Where the answer goes, for sources that acknowledge upstream.
    pub answer: Option<oneshot::Sender<Taken>>,
}

/// The sending side, for sources.
#[derive(Debug, Clone)]
pub struct Intake {
    witnesses: mpsc::Sender<Incoming>,
    bulk: mpsc::Sender<Incoming>,
}

/// The receiving side, for the pipeline.
#[derive(Debug)]
pub struct Lanes {
    /// First.
    pub witnesses: mpsc::Receiver<Incoming>,
    /// After.
    pub bulk: mpsc::Receiver<Incoming>,
}

/// The pipeline has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline has stopped; the program is ending")]
pub struct Closed;

/// Makes the lanes.
#[must_use]
pub fn lanes() -> (Intake, Lanes) {
    let (witnesses, first) = mpsc::channel(WITNESS_LANE);
    let (bulk, after) = mpsc::channel(BULK_LANE);
    (
        Intake { witnesses, bulk },
        Lanes {
            witnesses: first,
            bulk: after,
        },
    )
}

impl Intake {
    /// From a device thread. Blocks only when 4,096 witness events wait, which means that the
    /// pipeline hangs; the watchdog then ends the process.
    ///
    /// # Errors
    /// [`Closed`] when the pipeline has stopped.
    pub fn witness(&self, stamp: Stamp, body: EventBody) -> Result<(), Closed> {
        self.witnesses
            .blocking_send(Incoming {
                stamp,
                body,
                answer: None,
            })
            .map_err(|_| Closed)
    }

    /// A witness event from a task.
    ///
    /// # Errors
    /// [`Closed`] when the pipeline has stopped.
    pub async fn witness_async(&self, stamp: Stamp, body: EventBody) -> Result<(), Closed> {
        self.witnesses
            .send(Incoming {
                stamp,
                body,
                answer: None,
            })
            .await
            .map_err(|_| Closed)
    }

    /// A bulk event; waits while the lane is full.
    ///
    /// # Errors
    /// [`Closed`] when the pipeline has stopped.
    pub async fn bulk(
        &self,
        stamp: Stamp,
        body: EventBody,
    ) -> Result<oneshot::Receiver<Taken>, Closed> {
        let (answer, taken) = oneshot::channel();
        let incoming = Incoming {
            stamp,
            body,
            answer: Some(answer),
        };
        self.bulk.send(incoming).await.map_err(|_| Closed)?;
        Ok(taken)
    }
}
