//! A log that has less than others know of it: it was deleted or shortened behind our back.

use std::fmt;

/// What others know of the log is some time old: new positions begin this far above it, so that
/// none of those given since is given again.
const MARGIN: u64 = 1_000_000;

/// Positions that were given before and are not in the log any more. None of them is ever given
/// again: identifiers of alerts and messages are made of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last position that is there.
    pub(crate) after: u64,
    /// The highest one that is known to have been on disk.
    pub(crate) claimed: u64,
    /// Where the log goes on.
    pub(crate) resume: u64,
}

impl Gap {
    /// The gap in a log that ends at `last`, of which others know that it reached `claimed`.
    pub(super) fn of(last: u64, claimed: u64) -> Option<Gap> {
        // A number that leaves no room for positions above is no position.
        let resume = claimed.checked_add(1 + MARGIN)?;
        let beyond = last < claimed && i64::try_from(resume).is_ok();
        beyond.then_some(Gap {
            after: last,
            claimed,
            resume,
        })
    }

    /// Records that are missing at least.
    pub(crate) fn records(&self) -> u64 {
        self.claimed - self.after
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gap {
            after,
            claimed,
            resume,
        } = self;
        write!(
            f,
            "at least {} accepted records are lost, {} to {claimed}: the log was deleted or shortened, or the disk \
             lost it; find out who touched the folder log/ and check the disk; new records begin at {resume}, so \
             that no number is used twice",
            self.records(),
            after + 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_has_less_than_is_known_of_it_has_a_gap() {
        assert_eq!(Gap::of(5, 0), None);
        assert_eq!(Gap::of(5, 5), None);
        assert_eq!(Gap::of(5, u64::MAX), None, "no position");
        let gap = Gap::of(5, 7).unwrap();
        assert_eq!((gap.records(), gap.resume), (2, 1_000_008));
    }
}
