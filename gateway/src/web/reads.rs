//! Reads of index and log block; they run on their own threads, a few at a time.

use super::App;
use super::problem::Problem;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::Seq;
use tillwatch_store::{ErrorKind, Index, Store, StoreError};
use tokio::sync::Semaphore;

/// Reads at once; more wait.
const READS: usize = 4;
/// How long a read waits for its turn before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// How long a question waits for an index that is behind what was known when the store was opened.
/// Longer than a usual start takes; who has waited so long is told instead.
const INDEX_PATIENCE: Duration = Duration::from_secs(3);
/// Seconds after which to ask again while the index is rebuilt: it says how far it is.
const INDEX_RETRY_S: u16 = 1;

/// Runs reads, a few at a time.
#[derive(Debug, Clone)]
pub struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Self {
        Self::at_once(READS)
    }
}

impl Reads {
    /// At most so many at once.
    pub fn at_once(reads: usize) -> Self {
        Self(Arc::new(Semaphore::new(reads)))
    }

    /// Runs one read on a blocking thread.
    ///
    /// # Errors
    /// A problem when too many others wait, or when the read panics.
    pub async fn run<T, F>(&self, read: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let turn = tokio::time::timeout(WAIT, self.0.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            return Err(Problem::unavailable(
                "busy",
                "too many requests read log or footage at once; try again",
            ));
        };
        let reading = tokio::task::spawn_blocking(move || {
            // Given back when the read ends, also when nobody waits for it any more.
            let _permit = permit;
            read()
        });
        reading.await.map_err(|why| {
            tracing::error!(%why, "a read of the store failed");
            Problem::internal("reading the store failed; the log says why")
        })
    }
}

impl App {
    /// Asks the index. Incomplete answers are none: alerts that exist would be missing.
    ///
    /// # Errors
    /// A problem while the index is being rebuilt, and those of [`Reads::run`].
    pub(super) async fn ask_index<T, F>(&self, question: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Index) -> T + Send + 'static,
    {
        let store = self.shared.store.clone();
        self.index_complete().await?;
        let answer = self.reads.run(move || question(store.index())).await?;
        // It may have failed under the question.
        complete(&self.shared.store)?;
        Ok(answer)
    }

    /// Waits a moment for an index that knows all that was known before.
    ///
    /// # Errors
    /// A problem while the index is being rebuilt.
    pub(super) async fn index_complete(&self) -> Result<(), Problem> {
        let store = &self.shared.store;
        // Waits here, and not on one of the few threads.
        let _ = tokio::time::timeout(INDEX_PATIENCE, store.index().rebuilt()).await;
        complete(store)
    }
}

/// # Errors
/// A problem while the index is being rebuilt: what it does not know may be there all the same.
pub(super) fn complete(store: &Store) -> Result<(), Problem> {
    let Some((through, goal)) = store.index().rebuilding() else {
        return Ok(());
    };
    let before = store.first_seq().0.saturating_sub(1);
    let records = |seq: Seq| seq.0.saturating_sub(before);
    let detail = format!(
        "the index is being rebuilt: {} of {} records; ask again in a moment",
        records(through),
        records(goal)
    );
    let mut problem = Problem::unavailable("index", detail);
    problem.retry_after_s = Some(INDEX_RETRY_S);
    Err(problem)
}

impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        match why.kind() {
            ErrorKind::Retry | ErrorKind::Fatal => Problem::unavailable("store", why.to_string()),
            ErrorKind::Skip | ErrorKind::Refuse => Problem::internal(why.to_string()),
        }
    }
}
