//! Footage around alerts.
//!
//! | module | what |
//! | --- | --- |
//! | [`ring`] | what every camera saw a moment ago, in memory |

pub mod ring;
