//! One file per measurement.

pub mod backlog;
pub mod day;
pub mod drain;
pub mod edge;
pub mod enqueue;
pub mod events;
pub mod idle;
pub mod media;
pub mod motion;
pub mod receipt;
pub mod remux;
pub mod restart;
pub mod urgent;
