//! Detectors: pure functions over one register's events.
//!
//! A [`Detector`] sees every event in log order, keeps bounded state and may conclude findings.
//! The [`Engine`] runs them, lets the alert policy merge what they found, and gives back
//! [`Outcome`]s. No clock, no randomness, no I/O: the same log gives the same outcomes.
//!
//! *Silence is no evidence of itself.* A rule that concludes from something missing asks the
//! [`WitnessLedger`] whether that witness was provably alive through the whole window, and the
//! [`PosFeed`] whether the till's feed has proven that it neither loses nor delays events. If not, the outcome is
//! [`Outcome::NotJudged`].
//!
//! | module | what |
//! | --- | --- |
//! | [`detector`] | the trait, what a detector is told, where it puts its conclusions |
//! | [`engine`] | runs the detectors over the log |
//! | [`policy`] | findings to alerts: merging, revisions |
//! | [`witness`] | which witness was alive when |
//! | [`feed`] | clock skew, lag and losses of the till's feed |
//! | [`mod@proof`] | what the silence of that feed is worth |
//! | [`recent`] | kicks, drawer commands, papers and till events of the last minutes |
//! | [`mod@customer_side`] | what cameras said of the customer's side in the last minutes |
//! | [`till`] | what a till event says of the transaction |
//! | [`mod@review_queue`] | what a person is asked to look at |
//! | [`rules`] | one file per detector |

pub mod customer_side;
pub mod detector;
pub mod engine;
pub mod feed;
pub mod policy;
pub mod proof;
pub mod recent;
pub mod review_queue;
pub mod rules;
mod skew;
pub mod till;
mod waiting;
pub mod witness;

pub use customer_side::CustomerSide;
pub use detector::{Context, Cut, Detector, Findings, Line, SnapshotError};
pub use engine::{Engine, Outcome};
pub use feed::PosFeed;
pub use recent::Recent;
pub use review_queue::{ReviewDay, review_queue};
pub use witness::WitnessLedger;
