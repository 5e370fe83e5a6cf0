//! The only place that touches the data directory: the log, and what is derived from it.

pub mod failpoint;
pub mod index;
mod error;
mod options;
mod outbox;
mod stub;
mod usage;

pub use error::{AppendError, ErrorKind, StoreError};
pub use index::{AlertFilter, AlertRow, Delivery, Index};
pub use options::{IndexKind, OutboxLimits, StoreOptions};
pub use outbox::{DeadLetter, Numbers, Outbox, OutboxRef};
pub use stub::{Damage, Opened, Scan, SeqRange, Store, Urgency};
pub use usage::{LogState, Usage};
