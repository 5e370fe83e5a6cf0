//! Footage around alerts.
//!
//! | module | what |
//! | --- | --- |
//! | [`ring`] | what every camera saw a moment ago, in memory |
//! | [`plan`] | which time is being recorded, and when a clip is done |
//! | [`suspicion`] | what is recorded before any alert asks for it |
//! | [`footage`] | the stored pictures of one camera in a clip, and their times |
//! | [`picture`] | a JPEG's size, and a small picture of it |
//! | [`mp4`] | where everything lies in an MP4 file of those pictures |
//! | [`remux`] | that file, whole or in part, written picture by picture |
//! | [`name`] | what exported files are called |
//! | [`export`] | a file in a folder, whole or not at all |
//! | [`sheet`] | a clip at one glance |

pub mod export;
pub mod footage;
pub mod mp4;
pub mod name;
pub mod picture;
pub mod plan;
pub mod remux;
pub mod ring;
pub mod sheet;
pub mod suspicion;
