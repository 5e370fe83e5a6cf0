//! What one reader of the live feed is told, whatever the way it reads.

use crate::live::{LiveItem, is_shown};
use crate::web::App;
use crate::web::problem::Problem;
use crate::web::reads::Reads;
use crate::web::serve::Shutdown;
use crate::web::view::{self, Item, Judgements, ViewContext};
use axum::Extension;
use std::collections::VecDeque;
use tillwatch_protocol::{Record, Seq};
use tillwatch_store::{ErrorKind, Store, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Records of the log that are looked at in one read.
const PAGE: usize = 256;

/// One thing that a reader is told.
pub(super) enum Told {
    /// Something happened.
    Item(Box<Item>),
    /// The reader was too slow for this many; they follow from the log.
    Lagged {
        /// How many.
        lost: u64,
    },
    /// Positions that the log does not have any more.
    Gap {
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
}

/// What one reader is told, in the order of the log.
pub(super) struct Feed {
    store: Store,
    reads: Reads,
    context: ViewContext,
    items: Receiver<LiveItem>,
    /// Everything up to here was sent, or is not shown.
    sent: Seq,
    /// Read the log up to here before listening.
    catch_up_to: Option<Seq>,
    ready: VecDeque<Told>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// Begins after a position, or with what happens now.
    ///
    /// # Errors
    /// A problem when there are too many readers.
    pub(super) fn open(
        app: &App,
        shutdown: Option<Extension<Shutdown>>,
        after: Option<u64>,
    ) -> Result<Self, Problem> {
        let Ok(place) = app.live_readers.clone().try_acquire_owned() else {
            return Err(Problem::unavailable(
                "readers",
                "too many readers of the live feed; close one",
            ));
        };
        // Listen first, then look where the log ends: nothing falls between.
        let items = app.shared.live.subscribe();
        let end = app.shared.store.last_seq();
        let durable = *app.shared.store.durable().borrow();
        let shutdown = shutdown
            .map(|Extension(Shutdown(token))| token)
            .unwrap_or_default();
        Ok(Self {
            store: app.shared.store.clone(),
            reads: app.reads.clone(),
            context: app.view_context(),
            items,
            // From another log, or from the future: begin with what happens now.
            sent: after.map_or(
                durable,
                |after| if after > end.0 { durable } else { Seq(after) },
            ),
            catch_up_to: Some(end),
            ready: VecDeque::new(),
            shutdown,
            _place: place,
        })
    }

    /// Waits for the next; `None` at the end of the program or of the log.
    pub(super) async fn next(&mut self) -> Option<Told> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => None,
            told = self.produce() => told,
        }
    }

    async fn produce(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            if let Some(end) = self.catch_up_to {
                if self.sent >= end {
                    self.catch_up_to = None;
                } else {
                    self.store.durable_through(end).await.ok()?;
                    self.catch_up(end).await?;
                }
                continue;
            }
            match self.items.recv().await {
                Ok(item) if item.seq > self.sent => {
                    self.sent = item.seq;
                    self.push(item.seq, &item.record);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => {
                    metrics::counter!("live_lost_total").increment(lost);
                    self.ready.push_back(Told::Lagged { lost });
                    self.catch_up_to = Some(*self.store.durable().borrow());
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads one page of the log.
    async fn catch_up(&mut self, end: Seq) -> Option<()> {
        let (store, from) = (self.store.clone(), self.sent.next());
        let page = self.reads.run(move || read_page(&store, from, end)).await;
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(why)) => {
                tracing::warn!(%why, "the live feed cannot read the log; the reader will come back");
                return None;
            }
            Err(_) => return None,
        };
        for part in page.parts {
            match part {
                Part::Record(seq, record) => self.push(seq, &record),
                Part::Gap(from, to) => self.ready.push_back(Told::Gap { from, to }),
            }
        }
        self.sent = page.through.max(self.sent.next());
        Some(())
    }

    fn push(&mut self, seq: Seq, record: &Record) {
        if let Some(item) = view::item(seq, record, &Judgements::default(), self.context) {
            self.ready.push_back(Told::Item(Box::new(item)));
        }
    }
}

enum Part {
    Record(Seq, Box<Record>),
    Gap(Seq, Seq),
}

struct Page {
    parts: Vec<Part>,
    /// The position that the page ends with.
    through: Seq,
}

/// What is shown of the records `from..=end`, of at most [`PAGE`] looked at.
fn read_page(store: &Store, from: Seq, end: Seq) -> Result<Page, StoreError> {
    let mut page = Page {
        parts: Vec::new(),
        through: end,
    };
    let first = store.first_seq();
    let mut next = from;
    if from < first {
        page.parts.push(Part::Gap(from, Seq(first.0 - 1)));
        next = first;
    }
    if next > end {
        return Ok(page);
    }
    for (looked, row) in store.scan(next)?.enumerate() {
        match row {
            Ok((seq, _)) if seq > end => return Ok(page),
            Ok((seq, record)) => {
                if is_shown(&record) {
                    page.parts.push(Part::Record(seq, Box::new(record)));
                }
                if seq == end {
                    return Ok(page);
                }
                if looked + 1 >= PAGE {
                    page.through = seq;
                    return Ok(page);
                }
            }
            Err(StoreError::Damaged { from, to, .. }) => page.parts.push(Part::Gap(from, to)),
            // One record that this version cannot read.
            Err(why) if why.kind() == ErrorKind::Skip => {}
            Err(why) => return Err(why),
        }
    }
    Ok(page)
}
