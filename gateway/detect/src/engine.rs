//! Runs the detectors over the log.

use crate::customer_side::CustomerSide;
use crate::detector::{Context, Cut, Detector, Findings, SnapshotError, read_state, write_state};
use crate::feed::PosFeed;
use crate::policy::Policy;
use crate::recent::Recent;
use crate::rules;
use crate::witness::WitnessLedger;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use tillwatch_protocol::alert::Alert;
use tillwatch_protocol::event::{DrawerState, Event, EventBody, Witness, WitnessState};
use tillwatch_protocol::finding::{Finding, NotJudged, Notice};
use tillwatch_protocol::ids::LogId;
use tillwatch_protocol::settings::DetectionSettings;
use tillwatch_protocol::time::{MonotonicNs, Stamp};

const NAME: &str = "engine";
/// Of the whole layout, settings and alerts included: raised whenever any of it changes, which
/// `tests/saved_state.rs` notices.
const VERSION: u8 = 3;

/// What comes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new alert, or a new revision of one.
    Alert(Alert),
    /// A finding below the line, or of a silent rule.
    Finding(Finding),
    /// Something for the technician.
    Notice(Notice),
    /// A rule that could not be applied.
    NotJudged(NotJudged),
}

/// Everything but the detectors' own state.
#[derive(Clone, Serialize, Deserialize)]
struct Shared {
    settings: DetectionSettings,
    receipt_policy_since: MonotonicNs,
    boot: Option<u64>,
    witnesses: WitnessLedger,
    feed: PosFeed,
    recent: Recent,
    customer_side: CustomerSide,
    policy: Policy,
}

impl Shared {
    fn new() -> Self {
        Self {
            settings: DetectionSettings::default(),
            receipt_policy_since: 0,
            boot: None,
            witnesses: WitnessLedger::default(),
            feed: PosFeed::default(),
            recent: Recent::default(),
            customer_side: CustomerSide::default(),
            policy: Policy::default(),
        }
    }

    fn context<'a>(&'a self, zone: &'a TimeZone) -> Context<'a> {
        Context {
            settings: &self.settings,
            zone,
            witnesses: &self.witnesses,
            feed: &self.feed,
            recent: &self.recent,
            customer_side: &self.customer_side,
            receipt_policy_since: self.receipt_policy_since,
        }
    }

    /// Takes note of an event before the detectors see it.
    fn note(&mut self, event: &Event) {
        let stamp = event.stamp;
        let now = stamp.monotonic_ns;
        match &event.body {
            EventBody::Started { .. } => {
                self.witnesses.started();
                self.feed.started();
                self.recent.note_drawer(None, None);
                self.customer_side.started();
            }
            EventBody::Settings(settings) => {
                if settings.receipt_policy != self.settings.receipt_policy {
                    self.receipt_policy_since = now;
                }
                self.settings = (**settings).clone();
            }
            EventBody::Witness { witness, state } => {
                self.witnesses.report(*witness, state, now);
                if *witness == Witness::DrawerSense && *state != WitnessState::Alive {
                    self.recent.note_drawer(None, None);
                }
                // What is lost on the way is the ledger's matter; the camera goes on from there.
                if let Witness::Camera(number) = *witness
                    && !matches!(state, WitnessState::Gap { .. })
                {
                    self.customer_side.note_break(number, now);
                }
            }
            EventBody::CameraPicture { camera, state } => {
                self.customer_side.note_picture(*camera, *state, now);
            }
            EventBody::CameraMotion {
                camera,
                region,
                motion,
            } => {
                self.customer_side
                    .note_motion(*camera, *region, *motion, now);
            }
            EventBody::Drawer { state, initial } => {
                let closed = *state == DrawerState::Closed && !initial;
                self.recent.note_drawer(Some(*state), closed.then_some(now));
            }
            EventBody::Kick => self.recent.note_kick(event.seq, stamp),
            EventBody::DrawerCommand(command) => {
                self.recent.note_command(event.seq, stamp, command);
            }
            EventBody::PaperStarted => self.recent.note_paper_started(event.seq, stamp),
            EventBody::Receipt(receipt) => {
                self.recent.note_receipt(event.seq, stamp, receipt);
                if let Some(paper) = self.recent.paper(event.seq) {
                    self.feed.receipt(paper, &self.settings);
                }
            }
            EventBody::Pos(pos) => {
                let placed = self
                    .feed
                    .place(pos, &stamp, &self.witnesses, &self.settings);
                self.recent.note_till(event.seq, stamp, pos, placed);
                if let Some(told) = self.recent.till_event(event.seq) {
                    self.feed.payment(told, &self.settings);
                }
            }
            EventBody::Stopped { .. }
            | EventBody::Tick
            | EventBody::Review(_)
            | EventBody::ClockCorrection { .. }
            | EventBody::Notice(_) => {}
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    shared: Shared,
    detectors: Vec<(String, Vec<u8>)>,
}

/// Runs the detectors over the log of one register, in order.
pub struct Engine {
    log: LogId,
    shared: Shared,
    zone: TimeZone,
    detectors: Vec<Box<dyn Detector>>,
    found: Findings,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("log", &self.log)
            .field(
                "detectors",
                &self.detectors.iter().map(|d| d.name()).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with empty state and [`DetectionSettings::default`], until a settings event comes.
    #[must_use]
    pub fn new(log: LogId) -> Engine {
        Engine {
            log,
            shared: Shared::new(),
            zone: TimeZone::UTC,
            detectors: rules::all(),
            found: Findings::default(),
        }
    }

    /// Takes the next event of the log; appends what comes of it to `out`.
    ///
    /// Deadlines that lie before the event are run first, so that a late tick changes nothing.
    pub fn on_event(&mut self, event: &Event, out: &mut Vec<Outcome>) {
        let now = event.stamp;
        if self.shared.boot != Some(now.boot) {
            if self.shared.boot.is_some() {
                self.cut(Cut::Boot);
                self.shared.recent.new_boot();
                self.shared.witnesses.new_boot();
                self.shared.feed.new_boot();
                self.shared.customer_side.started();
                self.shared.receipt_policy_since = 0;
            }
            self.shared.boot = Some(now.boot);
        }
        if matches!(event.body, EventBody::Started { .. }) {
            // What was due meanwhile was not watched: it is cut, not judged.
            self.cut(Cut::Started);
        } else {
            let shared = &mut self.shared;
            shared
                .feed
                .advance(now.monotonic_ns, &shared.witnesses, &shared.settings);
            self.run_due(&now);
        }
        if !matches!(event.body, EventBody::Tick) {
            self.shared.note(event);
            if matches!(event.body, EventBody::Settings(_)) {
                self.resolve_zone();
            }
            let context = self.shared.context(&self.zone);
            for detector in &mut self.detectors {
                detector.on_event(event, &context, &mut self.found);
            }
        }
        if !self.found.findings.is_empty() {
            let context = self.shared.context(&self.zone);
            for detector in &mut self.detectors {
                detector.on_findings(&now, &context, &mut self.found);
            }
        }
        if !self.found.is_empty() {
            let shared = &mut self.shared;
            shared
                .policy
                .conclude(self.log, &shared.settings, &mut self.found, out);
        }
    }

    fn run_due(&mut self, now: &Stamp) {
        let context = self.shared.context(&self.zone);
        for detector in &mut self.detectors {
            if detector
                .deadline()
                .is_some_and(|due| due <= now.monotonic_ns)
            {
                detector.on_tick(now, &context, &mut self.found);
            }
        }
    }

    fn cut(&mut self, cut: Cut) {
        let context = self.shared.context(&self.zone);
        for detector in &mut self.detectors {
            detector.on_cut(cut, &context, &mut self.found);
        }
    }

    fn resolve_zone(&mut self) {
        // The configuration was checked before it became an event; a zone that this box does not
        // know after all reads as UTC.
        self.zone = TimeZone::get(&self.shared.settings.timezone).unwrap_or(TimeZone::UTC);
    }

    /// When a [`EventBody::Tick`] is due, in monotonic time of the current boot.
    #[must_use]
    pub fn deadline(&self) -> Option<MonotonicNs> {
        self.detectors
            .iter()
            .filter_map(|detector| detector.deadline())
            .min()
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &DetectionSettings {
        &self.shared.settings
    }

    /// Which witness can say what, for the status.
    #[must_use]
    pub fn witnesses(&self) -> &WitnessLedger {
        &self.shared.witnesses
    }

    /// How far the till's feed is trusted, for the status.
    #[must_use]
    pub fn feed(&self) -> &PosFeed {
        &self.shared.feed
    }

    /// How much of the bounded memory was forgotten before its time: recent happenings and causes
    /// of alerts.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.shared
            .recent
            .crowded_out()
            .saturating_add(self.shared.policy.forgotten())
    }

    /// The whole state: a version byte, then postcard.
    ///
    /// # Errors
    /// [`SnapshotError::Encode`].
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        let detectors = self
            .detectors
            .iter()
            .map(|detector| Ok((detector.name().to_owned(), detector.snapshot()?)))
            .collect::<Result<_, SnapshotError>>()?;
        write_state(
            NAME,
            VERSION,
            &Snapshot {
                shared: self.shared.clone(),
                detectors,
            },
        )
    }

    /// Takes over a state, after which the engine behaves exactly as the one that made it.
    ///
    /// # Errors
    /// [`SnapshotError::Version`] or [`SnapshotError::Damaged`]; the engine is then unchanged.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let snapshot: Snapshot = read_state(NAME, VERSION, bytes)?;
        let mut detectors = rules::all();
        for (name, state) in &snapshot.detectors {
            // The state of a detector that this program does not have is of no use to it.
            if let Some(detector) = detectors.iter_mut().find(|d| d.name() == name) {
                detector.restore(state)?;
            }
        }
        self.detectors = detectors;
        self.shared = snapshot.shared;
        self.found = Findings::default();
        self.resolve_zone();
        Ok(())
    }
}
