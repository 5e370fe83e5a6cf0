//! Reads of index and log block; they run on their own threads, a few at a time.

use super::problem::Problem;
use std::sync::Arc;
use std::time::Duration;
use tillwatch_store::{ErrorKind, StoreError};
use tokio::sync::Semaphore;

/// Reads at once; more wait.
const READS: usize = 4;
/// How long a read waits for its turn before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// Runs reads, a few at a time.
#[derive(Debug, Clone)]
pub struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READS)))
    }
}

impl Reads {
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
                "too many requests read the log at once; try again",
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

impl From<StoreError> for Problem {
    fn from(why: StoreError) -> Self {
        match why.kind() {
            ErrorKind::Retry | ErrorKind::Fatal => Problem::unavailable("store", why.to_string()),
            ErrorKind::Skip | ErrorKind::Refuse => Problem::internal(why.to_string()),
        }
    }
}
