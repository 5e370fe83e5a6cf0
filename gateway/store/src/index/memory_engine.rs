//! The index in memory, for tests and for commands that only read.

use super::engine::{Batch, IndexEngine, IndexError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::RwLock;

/// An ordered map in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryEngine(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

impl IndexEngine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        Ok(crate::read(&self.0).get(key).cloned())
    }

    fn apply(&self, batch: &Batch) -> Result<(), IndexError> {
        let mut map = crate::write(&self.0);
        for (key, value) in batch {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        Ok(())
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), IndexError> {
        if from >= to {
            return Ok(());
        }
        let map = crate::read(&self.0);
        let mut range = map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        let mut next = || {
            if backwards {
                range.next_back()
            } else {
                range.next()
            }
        };
        while let Some((key, value)) = next() {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), IndexError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}
