//! The receipt printer's line, read without taking part.
//!
//! A [`ByteTap`] yields raw bytes; `receipt::ReceiptTap` makes documents of them:
//! [`escpos`] (what was commanded) → `receipt` (what is on which piece of paper), with
//! `text` for what the bytes say. The tap never writes.
//!
//! Other dialects (Star, Bematech, …) get a parser file of their own beside [`escpos`]
//! that yields the same [`escpos::Item`]s; text, framing and everything behind it stay.

pub mod escpos;
#[cfg(feature = "std")]
pub mod mask;
#[cfg(feature = "std")]
pub mod receipt;
#[cfg(feature = "std")]
pub mod replay;
#[cfg(feature = "serial")]
pub mod serial;
#[cfg(feature = "std")]
pub mod text;
#[cfg(feature = "std")]
pub mod transaction;

#[cfg(feature = "std")]
use crate::error::DriverError;

/// A tap on a line of bytes.
#[cfg(feature = "std")]
pub trait ByteTap: Send {
    /// Waits up to `timeout` for bytes and puts them into `buf`. 0 means that none came.
    ///
    /// # Errors
    /// A device that is gone is an error of kind [`Reopen`](crate::ErrorKind::Reopen),
    /// never a 0.
    fn read(&mut self, buf: &mut [u8], timeout: std::time::Duration) -> Result<usize, DriverError>;
}

#[cfg(feature = "std")]
impl ByteTap for Box<dyn ByteTap> {
    fn read(&mut self, buf: &mut [u8], timeout: std::time::Duration) -> Result<usize, DriverError> {
        (**self).read(buf, timeout)
    }
}
