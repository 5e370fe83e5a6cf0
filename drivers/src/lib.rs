//! The devices at a checkout.
//!
//! This crate knows lines, levels, bytes and paper. It does not know stores, sales or
//! suspicion: what it reports is what happened on a wire.
//!
//! | module | what |
//! | --- | --- |
//! | [`drawer`] | the cash drawer's two wires: the sense switch and the kick |
//! | [`drawer::debounce`] | edges into openings, closings and kicks (pure) |
//! | `drawer::gpiocdev` | Linux GPIO character device, the default backend |
//! | `drawer::rppal` | rppal, for who wants it on a Raspberry Pi |
//! | `drawer::replay` | a drawer played from a channel, for demonstrations and tests |
//! | [`printer`] | the receipt printer's line, tapped |
//! | [`printer::escpos`] | ESC/POS bytes into items (pure, streaming, bounded) |
//! | `printer::text` | code pages into UTF-8 |
//! | `printer::receipt` | items into paper documents |
//! | `printer::serial` | a serial port, opened so that it disturbs nobody |
//! | `printer::replay` | a printer line played from a file or a channel |
//! | `camera` | frames of a camera |
//! | `camera::jpeg` | whole, cut off, padded or incomplete JPEGs (pure) |
//! | `camera::luma` | a small grey picture of a JPEG, without decoding it (pure) |
//! | `camera::motion` | whether something moves in a part of the picture (pure) |
//! | `camera::blinding` | dark, covered, frozen (pure) |
//! | `camera::negotiate` | which of the offered pictures is taken (pure) |
//! | `camera::v4l` | Video4Linux |
//! | `camera::replay` | a camera played from a file or a channel |
//! | `camera::scene` | a drawn checkout, for demonstrations |
//! | `discover` | which lines, ports and cameras exist, and why one cannot be opened |
//! | `error` | errors, and the reaction each one asks for |
//! | `backoff` | when to try a lost device again |
//! | `clock` | the monotonic clock that stamps everything |
//!
//! # How a device is used
//!
//! Opening a backend gives an object behind a small trait ([`drawer::EdgeSource`],
//! [`printer::ByteTap`], `camera::FrameSource`); it blocks with a timeout, on a thread of its own. Its errors say
//! by [`error::DriverError::kind`] whether to call again, to reopen, or to give up. What it
//! yields goes through a pure core with the time passed in, so that everything about
//! timing can be tested exactly.
//!
//! # Features
//!
//! `std` (default) opens devices and allocates; without it the pure cores remain and the
//! crate is `no_std`. `gpiocdev`, `serial` and `v4l` (default) and `rppal` are the backends;
//! `scene` draws in place of a camera.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(feature = "std"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the table names std modules"
    )
)]

#[cfg(feature = "std")]
pub mod backoff;
#[cfg(feature = "std")]
pub mod camera;
#[cfg(feature = "std")]
pub mod clock;
#[cfg(feature = "std")]
pub mod discover;
pub mod drawer;
#[cfg(feature = "std")]
pub mod error;
pub mod printer;

#[cfg(feature = "std")]
pub use backoff::Backoff;
#[cfg(feature = "std")]
pub use clock::monotonic_ns;
#[cfg(feature = "std")]
pub use error::{DriverError, ErrorKind};
