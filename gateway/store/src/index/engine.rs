//! What the index needs of a key-value engine, so that another can take over.

use std::collections::BTreeMap;

/// Changes that become visible together: key and new value, or removal.
pub(crate) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The engine failed or panicked: its directory is set aside and the index rebuilt.
#[derive(Debug, thiserror::Error)]
#[error("index engine, {call}: {why}")]
pub(crate) struct IndexError {
    pub(crate) call: &'static str,
    pub(crate) why: String,
}

/// An ordered map. Nothing needs to be durable before [`IndexEngine::checkpoint`] returns; after a
/// power cut an older state or none is fine, a mixture is not: a batch is whole or absent.
pub(crate) trait IndexEngine: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError>;
    /// Applies a batch atomically.
    fn apply(&self, batch: &Batch) -> Result<(), IndexError>;
    /// Visits keys from `from` up to `to` (excluded), in order or backwards, until `visit` returns
    /// false.
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), IndexError>;
    /// Makes everything applied durable.
    fn checkpoint(&self) -> Result<(), IndexError>;
    /// Bytes on disk.
    fn bytes(&self) -> u64;
}
