//! The trait of all detectors, what they are told and where they put what they conclude.

use crate::customer_side::CustomerSide;
use crate::feed::PosFeed;
use crate::recent::{Recent, ms};
use crate::witness::WitnessLedger;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use tillwatch_protocol::event::Event;
use tillwatch_protocol::finding::{Evidence, Finding, NotJudged, Notice, Rule};
use tillwatch_protocol::settings::{DetectionSettings, ReceiptPolicy};
use tillwatch_protocol::time::{MonotonicNs, SECOND_NS, Stamp};

/// What every detector may ask, already brought up to date with the event that it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The settings in force.
    pub settings: &'a DetectionSettings,
    /// The store's time zone, resolved from the settings.
    pub zone: &'a TimeZone,
    /// Which witness was alive when.
    pub witnesses: &'a WitnessLedger,
    /// How far the till's feed can be trusted.
    pub feed: &'a PosFeed,
    /// What happened in the last minutes.
    pub recent: &'a Recent,
    /// What cameras said of the customer's side.
    pub customer_side: &'a CustomerSide,
    /// Since when in this boot the receipt policy is what it is now; 0 when it always was.
    pub receipt_policy_since: MonotonicNs,
}

/// After this many payments in a row without a single byte the printer tap is taken as deaf.
pub const DEAF_AFTER: usize = 3;

/// A drawer that opens again this soon was never shut.
const UNLATCHED_NS: u64 = SECOND_NS;

impl Context<'_> {
    /// Whether the printer tap heard nothing at all over several payments that had to be printed:
    /// its silence then proves nothing, whatever its port says.
    #[must_use]
    pub fn tap_is_deaf(&self) -> bool {
        let apart_ns = ms(self.settings.witness.paper_and_pos_ms);
        let since_ns = self.receipt_policy_since;
        self.recent
            .payments_in_silence(since_ns, apart_ns, DEAF_AFTER)
            >= DEAF_AFTER
    }

    /// Whether a drawer that opens at `at` was shut less than a second before: slammed, it did not
    /// latch and springs back. That is no opening of its own.
    #[must_use]
    pub fn drawer_sprang_back(&self, at: MonotonicNs) -> bool {
        let closed = self.recent.drawer_closed_ns();
        closed.is_some_and(|closed| at.saturating_sub(closed) <= UNLATCHED_NS)
    }

    /// Whether every payment since `from` had to be printed.
    #[must_use]
    pub fn always_printed_since(&self, from: MonotonicNs) -> bool {
        self.settings.receipt_policy == ReceiptPolicy::Always && self.receipt_policy_since <= from
    }
}

/// When a finding asks to become an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Line {
    /// Always, unless its rule is silent.
    Always,
    /// When the score is above [`DetectionSettings::alert_above`].
    ByScore,
}

/// Where detectors put their conclusions.
#[derive(Debug, Default)]
pub struct Findings {
    /// Findings, each with its line.
    pub findings: Vec<(Finding, Line)>,
    /// What could not be judged.
    pub not_judged: Vec<NotJudged>,
    /// Notices for the technician, with the rule that raises them.
    pub notices: Vec<(Rule, Notice)>,
}

impl Findings {
    /// A finding that always asks for an alert.
    pub fn alert(&mut self, finding: Finding) {
        self.findings.push((finding, Line::Always));
    }

    /// A finding that is an alert only by its score.
    pub fn scored(&mut self, finding: Finding) {
        self.findings.push((finding, Line::ByScore));
    }

    /// A rule could not be applied to `cause`.
    pub fn not_judged(
        &mut self,
        rule: &'static str,
        reason: &'static str,
        text: impl Into<String>,
        cause: Evidence,
    ) {
        self.not_judged.push(NotJudged {
            rule: Rule::of(rule),
            reason: Cow::Borrowed(reason),
            text: text.into(),
            cause,
        });
    }

    /// Something for the technician.
    pub fn notice(
        &mut self,
        rule: &'static str,
        code: &'static str,
        text: impl Into<String>,
        stamp: Stamp,
    ) {
        let notice = Notice {
            code: Cow::Borrowed(code),
            text: text.into(),
            stamp,
        };
        self.notices.push((Rule::of(rule), notice));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.not_judged.is_empty() && self.notices.is_empty()
    }
}

/// A break after which pending windows cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The daemon started again within one boot: what happened meanwhile is unknown.
    Started,
    /// Another boot: monotonic times before and after cannot be compared.
    Boot,
}

impl Cut {
    /// The reason for [`NotJudged`].
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Started => "window_cut_by_start",
            Self::Boot => "window_cut_by_boot",
        }
    }

    /// The same in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Started => "the gateway was restarted within the window",
            Self::Boot => "the box was rebooted within the window",
        }
    }
}

/// Why a snapshot cannot be made or used. The reaction is always the same: begin with empty state
/// and replay the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes have another version than this program writes.
    #[error("the state of {name} has version {found}, this program knows {known}")]
    Version {
        /// Whose state.
        name: &'static str,
        /// The version in the bytes.
        found: u8,
        /// The version of this program.
        known: u8,
    },
    /// The bytes are empty or do not decode.
    #[error("the state of {name} does not decode: {reason}")]
    Damaged {
        /// Whose state.
        name: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// The state could not be encoded.
    #[error("the state of {name} could not be encoded: {reason}")]
    Encode {
        /// Whose state.
        name: &'static str,
        /// What the encoder says.
        reason: String,
    },
}

/// Sees every event of the register in log order and may conclude findings.
///
/// State is bounded; time comes with the events. After [`Detector::restore`] of a snapshot the
/// detector behaves exactly as the one that made it.
pub trait Detector: Send {
    /// A stable snake_case name; the snapshot is stored under it.
    fn name(&self) -> &'static str;

    /// Called for every event but ticks, in log order.
    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings);

    /// Called at the end of a step in which anything was found, with everything that was: for rules
    /// that add to what others find.
    fn on_findings(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let _ = (now, context, out);
    }

    /// When [`Detector::on_tick`] should be called next, in monotonic time of the current boot.
    fn deadline(&self) -> Option<MonotonicNs>;

    /// Called when the deadline has passed.
    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings);

    /// Called before the event that breaks all windows: the daemon started, or another boot.
    fn on_cut(&mut self, cut: Cut, context: &Context<'_>, out: &mut Findings) {
        let _ = (cut, context, out);
    }

    /// The state: a version byte, then postcard.
    ///
    /// # Errors
    /// [`SnapshotError::Encode`] when the state does not encode.
    fn snapshot(&self) -> Result<Vec<u8>, SnapshotError>;

    /// Takes over a state.
    ///
    /// # Errors
    /// [`SnapshotError::Version`] or [`SnapshotError::Damaged`]; the state is then unchanged.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError>;
}

/// A version byte and postcard: how detectors write their state.
///
/// # Errors
/// [`SnapshotError::Encode`].
pub fn write_state<T: Serialize>(
    name: &'static str,
    version: u8,
    state: &T,
) -> Result<Vec<u8>, SnapshotError> {
    postcard::to_extend(state, vec![version]).map_err(|error| SnapshotError::Encode {
        name,
        reason: error.to_string(),
    })
}

/// Reads what [`write_state`] wrote.
///
/// # Errors
/// [`SnapshotError::Version`] or [`SnapshotError::Damaged`].
pub fn read_state<T: DeserializeOwned>(
    name: &'static str,
    version: u8,
    bytes: &[u8],
) -> Result<T, SnapshotError> {
    match bytes.split_first() {
        None => Err(SnapshotError::Damaged {
            name,
            reason: "empty".into(),
        }),
        Some((&found, _)) if found != version => Err(SnapshotError::Version {
            name,
            found,
            known: version,
        }),
        // Bytes behind the state are somebody else's and left alone.
        Some((_, body)) => postcard::from_bytes(body).map_err(|error| SnapshotError::Damaged {
            name,
            reason: error.to_string(),
        }),
    }
}
