//! Footage around alerts.
//!
//! | module | what |
//! | --- | --- |
//! | [`ring`] | what every camera saw a moment ago, in memory |
//! | [`plan`] | which time is being recorded, and when a clip is done |
//! | [`suspicion`] | what is recorded before any alert asks for it |
//! | [`footage`] | the stored pictures of one camera in a clip, and their times |
//! | [`picture`] | a JPEG's size, and a small picture of it |
//! | [`sheet`] | a clip at one glance |

pub mod footage;
pub mod picture;
pub mod plan;
pub mod ring;
pub mod sheet;
pub mod suspicion;
