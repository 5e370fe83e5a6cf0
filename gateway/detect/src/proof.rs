//! What the silence of the till's feed is worth: its record of carried and failed sales.
//!
//! A lost event and one that was never sent look alike. Only the feed's record tells them apart:
//! every sale receipt whose payment came, in time, is a proof that it carries what happens. The
//! run of proofs that is asked for grows with what went wrong before, because a feed that loses
//! one event in a hundred carries a hundred in a row quite often, and a thousand hardly ever.

use serde::{Deserialize, Serialize};

/// Sale receipts in a row that must have had their payment in time.
pub const PROVEN_AFTER_SALES: u32 = 1_000;
/// A feed that failed before has to carry this many times its usual number of sales between two
/// failures: by chance it gets there once in e¹⁰ failures.
const TIMES_THE_USUAL: u32 = 10;
/// … but never more than this, so that a feed that was mended is believed again some day.
pub const PROVEN_AT_LAST: u32 = 5_000;
/// Whoever installs a box tries the rules out, with no more than this many sales.
pub const TRIAL_SALES: u32 = 3;

/// Proofs and failures of one feed, kept across boots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// Sale receipts that had their payment: ever, and in a row.
    good: u32,
    run: u32,
    /// Times that a payment came late or never; without a good sale between, it is the same time.
    failures: u32,
    /// The run that is asked for since then.
    asked: u32,
    /// Sale receipts and payments, whether or not they met.
    receipts: u32,
    payments: u32,
}

impl Proof {
    pub(crate) fn good_sale(&mut self) {
        self.good = self.good.saturating_add(1);
        self.run = self.run.saturating_add(1);
    }

    pub(crate) fn failed(&mut self) {
        if self.run > 0 || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            self.asked = (self.good / self.failures).saturating_mul(TIMES_THE_USUAL);
        }
        self.run = 0;
    }

    pub(crate) fn receipt(&mut self) {
        self.receipts = self.receipts.saturating_add(1);
    }

    pub(crate) fn payment(&mut self) {
        self.payments = self.payments.saturating_add(1);
    }

    /// The run that is asked for.
    pub(crate) fn needed(self) -> u32 {
        self.asked.clamp(PROVEN_AFTER_SALES, PROVEN_AT_LAST)
    }

    pub(crate) fn run(self) -> u32 {
        self.run
    }

    pub(crate) fn is_proven(self) -> bool {
        self.run >= self.needed()
    }

    /// Sales seen so far, by whichever witness saw more.
    pub(crate) fn sales(self) -> u32 {
        self.receipts.max(self.payments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sales: u32, lost_one_in: u32) -> Proof {
        let mut proof = Proof::default();
        for n in 1..=sales {
            if n % lost_one_in == 0 {
                proof.failed();
            } else {
                proof.good_sale();
            }
        }
        proof
    }

    #[test]
    fn a_feed_that_never_failed_is_proven_by_a_thousand_sales() {
        assert!(!after(PROVEN_AFTER_SALES - 1, u32::MAX).is_proven());
        assert!(after(PROVEN_AFTER_SALES, u32::MAX).is_proven());
    }

    #[test]
    fn one_that_failed_has_to_carry_ten_times_what_it_usually_carries() {
        assert_eq!(after(1_000, 10).needed(), PROVEN_AFTER_SALES);
        assert_eq!(after(2_000, 200).needed(), 1_990);
        assert_eq!(after(10_000, 400).needed(), 3_990);
        assert_eq!(after(10_000, 2_500).needed(), PROVEN_AT_LAST);
        assert!(!after(10_399, 400).is_proven());
    }

    #[test]
    fn an_outage_is_one_failure_and_a_feed_that_was_mended_is_believed_again() {
        let mut proof = after(200, u32::MAX);
        for _ in 0..50 {
            proof.failed();
        }
        assert_eq!(proof.needed(), 2_000);
        for _ in 0..1_999 {
            proof.good_sale();
        }
        assert!(!proof.is_proven());
        proof.good_sale();
        assert!(proof.is_proven());
    }
}
