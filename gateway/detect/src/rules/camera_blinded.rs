//! A camera that sees nothing.

use super::{evidence_of, finding, points, state_as_snapshot};
use crate::detector::{Context, Cut, Detector, Findings};
use crate::till::TillWord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tillwatch_protocol::clip::PictureState;
use tillwatch_protocol::event::{Event, EventBody, Witness, WitnessState};
use tillwatch_protocol::finding::{Evidence, Score};
use tillwatch_protocol::receipt::ReceiptKind;
use tillwatch_protocol::time::{Clock, MonotonicNs, SECOND_NS, Stamp, local_time};

/// The rule's name and the notice's code.
pub const RULE: &str = "camera_blinded";
const KIND: &str = "blinded";
const SCORE: Score = Score::from_milli(500);
/// A camera that came alive is given this long to find its exposure and focus.
const STARTING_NS: u64 = 60 * SECOND_NS;
/// So many minutes before the opening hours end the lights may go out.
const CLOSING_MINUTES: u16 = 30;
const MINUTES_OF_A_DAY: u16 = 24 * 60;
/// A camera that is blind again this soon after it was found blind is still the same matter.
const SAME_NS: u64 = 600 * SECOND_NS;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// The camera may still be starting: until then.
    Starting(MonotonicNs),
    /// The shop's lights may be out: until something is sold.
    Excused,
    /// There is an alert.
    Found,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Blind {
    told: Evidence,
    state: PictureState,
    phase: Phase,
}

/// One camera.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Eye {
    /// It has shown a clear picture since it came alive.
    was_clear: bool,
    blind: Option<Blind>,
    /// When a blindness ended that there is an alert for.
    found_until_ns: Option<MonotonicNs>,
}

/// Bounded by the 256 numbers that a camera can have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    eyes: BTreeMap<u8, Eye>,
    /// The day was closed at this register, and nothing was sold since.
    day_is_closed: bool,
}

/// A picture that is covered or frozen; one that goes dark within the opening hours. One alert and
/// one notice until the picture is clear again, and also if it is blind again within ten minutes.
/// That it is clear again takes nothing back: what happened meanwhile was not seen.
///
/// Lights go out in every shop. Dark is no finding outside the opening hours, in their last half
/// hour, after the day was closed, where the camera was never clear since it came alive, or while
/// nobody knows the hour; what looks covered straight after such a dark is the dawn. All of them
/// end when something is sold in the dark: then the shop has light, and the camera has not. Only
/// outside the opening hours, by a clock that is set, even that is nothing.
///
/// @algorithm Camera blinded | Finds cameras that are covered, frozen or dark while the shop is open
#[derive(Debug, Default)]
pub struct CameraBlinded {
    state: State,
}

/// Whether the shop is open at a minute so much later; `None` when nobody knows the hour.
fn is_open(now: &Stamp, later_minutes: u16, context: &Context<'_>) -> Option<bool> {
    if now.clock != Clock::Synced {
        return None;
    }
    let local = local_time(now.utc_us, context.zone);
    let minute =
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    let then = (minute + later_minutes) % MINUTES_OF_A_DAY;
    Some(context.settings.opening_hours.contains(then))
}

/// When something was sold or paid back, at the earliest; `None` when this says nothing of it.
fn traded_at(event: &Event, context: &Context<'_>) -> Option<MonotonicNs> {
    match &event.body {
        EventBody::Receipt(_) => {
            let paper = context.recent.paper(event.seq)?;
            let is_trade = |kind: ReceiptKind| kind == ReceiptKind::Sale || kind.is_refund();
            let trades = paper.readable && paper.kind.is_some_and(is_trade);
            trades.then_some(paper.began_ns)
        }
        EventBody::Pos(_) => {
            let told = context.recent.till_event(event.seq)?;
            let trades = matches!(told.word, TillWord::Payment | TillWord::Refund);
            let stated = trades && told.placed.is_stated();
            told.placed.happened_ns().filter(|_| stated)
        }
        _ => None,
    }
}

fn find(number: u8, blind: &mut Blind, circumstance: &str, now: &Stamp, out: &mut Findings) {
    blind.phase = Phase::Found;
    let camera = Witness::Camera(number);
    let state = blind.state.word();
    let text = format!("the picture of {camera} is {state}{circumstance}");
    let cause = blind.told.clone();
    out.alert(finding(
        RULE,
        KIND,
        vec![points(RULE, SCORE, text)],
        vec![cause],
    ));
    let advice = match blind.state {
        PictureState::Dark => "is something before its lens, or is there no light?",
        PictureState::Frozen => "does it hang? Unplug it and plug it in again",
        PictureState::Covered | PictureState::Clear => "clean its lens, and look what is before it",
    };
    let text = format!("{camera} sees nothing, its picture is {state}: {advice}");
    out.notice(RULE, RULE, text, *now);
}

impl State {
    /// Whether a blind picture may be a shop without light.
    fn may_be_the_light(
        &self,
        eye: &Eye,
        state: PictureState,
        now: &Stamp,
        context: &Context<'_>,
    ) -> bool {
        let is_excused = |blind: &Blind| blind.phase == Phase::Excused;
        match state {
            PictureState::Covered => eye.blind.as_ref().is_some_and(is_excused),
            PictureState::Dark => {
                let open = is_open(now, 0, context) == Some(true)
                    && is_open(now, CLOSING_MINUTES, context) == Some(true);
                !eye.was_clear || !open || self.day_is_closed
            }
            PictureState::Frozen | PictureState::Clear => false,
        }
    }

    fn judge(&mut self, number: u8, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let Some(eye) = self.eyes.get(&number) else {
            return;
        };
        let Some(state) = eye.blind.as_ref().map(|blind| blind.state) else {
            return;
        };
        let excused = self.may_be_the_light(eye, state, now, context);
        let blind = self
            .eyes
            .get_mut(&number)
            .and_then(|eye| eye.blind.as_mut());
        let Some(blind) = blind else { return };
        if excused {
            blind.phase = Phase::Excused;
        } else {
            find(number, blind, "", now, out);
        }
    }

    fn sees(
        &mut self,
        event: &Event,
        number: u8,
        state: PictureState,
        context: &Context<'_>,
        out: &mut Findings,
    ) {
        let now = event.stamp.monotonic_ns;
        let eye = self.eyes.entry(number).or_default();
        if state == PictureState::Clear {
            eye.was_clear = true;
            eye.ends(now);
            return;
        }
        let again = eye
            .found_until_ns
            .is_some_and(|until| now.saturating_sub(until) <= SAME_NS);
        let what = format!("picture of {} {}", Witness::Camera(number), state.word());
        let told = evidence_of(event, what);
        let ready = context
            .witnesses
            .alive_since(Witness::Camera(number))
            .map_or(now, |since| since.saturating_add(STARTING_NS));
        match &mut eye.blind {
            // It has its alert; in which way it is blind now is no matter.
            Some(blind) if blind.phase == Phase::Found => return,
            Some(blind) => (blind.state, blind.told) = (state, told),
            None => {
                let phase = if again {
                    Phase::Found
                } else {
                    Phase::Starting(ready)
                };
                eye.blind = Some(Blind { told, state, phase });
            }
        }
        let waits = |blind: &Blind| match blind.phase {
            Phase::Found => true,
            Phase::Starting(until) => until > now,
            Phase::Excused => false,
        };
        if !eye.blind.as_ref().is_some_and(waits) {
            self.judge(number, &event.stamp, context, out);
        }
    }

    fn sold(&mut self, at_ns: MonotonicNs, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        self.day_is_closed = false;
        if is_open(now, 0, context) == Some(false) {
            return;
        }
        for (number, eye) in &mut self.eyes {
            let excused = eye.blind.as_mut().filter(|blind| {
                blind.phase == Phase::Excused && blind.told.stamp.monotonic_ns < at_ns
            });
            if let Some(blind) = excused {
                find(*number, blind, " while something is sold", now, out);
            }
        }
    }
}

impl Eye {
    /// It sees again, or nobody knows.
    fn ends(&mut self, now: MonotonicNs) {
        if let Some(blind) = self.blind.take()
            && blind.phase == Phase::Found
        {
            self.found_until_ns = Some(now);
        }
    }
}

impl Detector for CameraBlinded {
    state_as_snapshot!(RULE, 1);

    fn on_event(&mut self, event: &Event, context: &Context<'_>, out: &mut Findings) {
        let now = event.stamp.monotonic_ns;
        match &event.body {
            EventBody::CameraPicture { camera, state } => {
                self.state.sees(event, *camera, *state, context, out);
            }
            EventBody::Witness {
                witness: Witness::Camera(number),
                state,
            } if !matches!(state, WitnessState::Gap { .. }) => {
                if let Some(eye) = self.state.eyes.get_mut(number) {
                    eye.ends(now);
                    eye.was_clear = false;
                }
            }
            EventBody::Started { .. } => {
                for eye in self.state.eyes.values_mut() {
                    eye.ends(now);
                    eye.was_clear = false;
                }
            }
            EventBody::Receipt(receipt) if receipt.kind == ReceiptKind::ZReport => {
                self.state.day_is_closed = true;
            }
            _ => {
                if let Some(at_ns) = traded_at(event, context) {
                    self.state.sold(at_ns, &event.stamp, context, out);
                }
            }
        }
    }

    fn deadline(&self) -> Option<MonotonicNs> {
        let eyes = self.state.eyes.values();
        let due = eyes.filter_map(|eye| match eye.blind.as_ref()?.phase {
            Phase::Starting(until) => Some(until),
            Phase::Excused | Phase::Found => None,
        });
        due.min()
    }

    fn on_tick(&mut self, now: &Stamp, context: &Context<'_>, out: &mut Findings) {
        let is_due = |eye: &Eye| {
            let phase = eye.blind.as_ref().map(|blind| blind.phase);
            matches!(phase, Some(Phase::Starting(until)) if until <= now.monotonic_ns)
        };
        let due: Vec<u8> = self
            .state
            .eyes
            .iter()
            .filter(|(_, eye)| is_due(eye))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.state.judge(number, now, context, out);
        }
    }

    fn on_cut(&mut self, cut: Cut, _: &Context<'_>, _: &mut Findings) {
        if cut == Cut::Boot {
            self.state.eyes.clear();
        }
    }
}
