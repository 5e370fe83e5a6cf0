//! Footage around alerts.
//!
//! | module | what |
//! | --- | --- |
//! | [`ring`] | what every camera saw a moment ago, in memory |
//! | [`plan`] | which time is being recorded, and when a clip is done |
//! | [`suspicion`] | what is recorded before any alert asks for it |

pub mod plan;
pub mod ring;
pub mod suspicion;
