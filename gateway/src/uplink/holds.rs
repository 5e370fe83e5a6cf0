//! What the broker does not take for now: topics that are paused, with the entries that wait
//! for them. No I/O; time is passed in.
//!
//! A topic that may not be published to (0x87) or that nobody subscribes to (0x10) must not hold
//! up the others, and must not be hammered. Its entries are parked by number; after a pause that
//! grows, one of them, the oldest, is sent as a probe. Success opens the topic for all.

use super::pump::Key;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most parked entries. When they are more, the lane of the next one waits as a whole: memory
/// stays bounded, and nothing is lost, because the outbox keeps them.
pub const PARKED_MAX: usize = 20_000;
/// Probes of a forbidden topic before its oldest entry is given up: about a day with the pauses
/// below. Each further refused probe gives up one more.
pub const DENIED_TRIES: u32 = 28;

/// Why a topic is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The broker does not let us publish there.
    Denied,
    /// Nobody subscribes; the broker would throw it away.
    NoConsumer,
}

impl Why {
    /// For metric labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "not_authorized",
            Self::NoConsumer => "no_consumer",
        }
    }

    /// The pause after so many probes.
    fn pause(self, tries: u32) -> Duration {
        let (first, most) = match self {
            Self::Denied => (60, 3_600),
            Self::NoConsumer => (5, 60),
        };
        Duration::from_secs((first << tries.min(16)).min(most))
    }
}

/// Whether an entry may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Send,
    /// Its topic is paused; it is remembered here and comes back by [`Holds::due`] or
    /// [`Holds::succeeded`].
    Parked,
    /// Its topic is paused and nothing more can be remembered: leave it where it is.
    Full,
}

/// What follows from a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its topic is paused from now on for this long; it is parked.
    Paused(Duration),
    /// Its topic was paused already; it is parked too.
    Parked,
    /// It has been refused for too long: give it up.
    GiveUp,
}

#[derive(Debug)]
struct Hold {
    why: Why,
    tries: u32,
    until: Duration,
    probe: Option<Key>,
    /// How many are parked for it.
    waiting: usize,
}

/// Paused topics and parked entries; outlives connections.
#[derive(Debug, Default)]
pub struct Holds {
    topics: BTreeMap<Family, Hold>,
    parked: BTreeMap<Key, Family>,
}

/// Topics that share one fate: `stores/S03/alerts/{any}/still` is one family, so that ten thousand
/// stills do not become ten thousand pauses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(String);

impl Family {
    /// The family of a topic: its first three levels and how many it has.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        let levels = topic.split('/').count();
        if levels <= 3 {
            return Self(topic.to_owned());
        }
        let mut name: String = topic.split('/').take(3).collect::<Vec<_>>().join("/");
        name.push_str(&"/+".repeat(levels - 3));
        Self(name)
    }

    /// As a topic filter.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.0
    }
}

impl Holds {
    /// Whether nothing is paused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Paused topics with the reason, for health and metrics.
    pub fn topics(&self) -> impl Iterator<Item = (&str, Why)> {
        self.topics
            .iter()
            .map(|(family, hold)| (family.filter(), hold.why))
    }

    /// Entries that wait for a paused topic.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether this entry waits for a paused topic.
    #[must_use]
    pub fn is_parked(&self, key: Key) -> bool {
        self.parked.contains_key(&key)
    }

    /// Asks for an entry that is next in its lane.
    pub fn admit(&mut self, key: Key, topic: &str, now: Duration) -> Admission {
        if self.topics.is_empty() {
            return Admission::Send;
        }
        let family = Family::of(topic);
        let Some(hold) = self.topics.get_mut(&family) else {
            return Admission::Send;
        };
        if hold.probe == Some(key) {
            return Admission::Send;
        }
        if hold.probe.is_none() && hold.until <= now {
            hold.probe = Some(key);
            return Admission::Send;
        }
        if self.parked.len() >= PARKED_MAX {
            return Admission::Full;
        }
        park(&mut self.parked, hold, family, key);
        Admission::Parked
    }

    /// The broker refused an entry because of its topic.
    pub fn refused(&mut self, key: Key, topic: &str, why: Why, now: Duration) -> Refused {
        let family = Family::of(topic);
        let mut paused = None;
        let hold = self.topics.entry(family.clone()).or_insert_with(|| {
            paused = Some(why.pause(0));
            Hold {
                why,
                tries: 0,
                until: now + why.pause(0),
                probe: None,
                waiting: 0,
            }
        });
        // Those that were in flight beside the first one say nothing new.
        if hold.probe == Some(key) {
            hold.probe = None;
            hold.tries = if hold.why == why { hold.tries + 1 } else { 0 };
            hold.why = why;
            let pause = why.pause(hold.tries);
            hold.until = now + pause;
            if why == Why::Denied && hold.tries >= DENIED_TRIES {
                return Refused::GiveUp;
            }
            paused = Some(pause);
        }
        // Bounded: beyond `PARKED_MAX` by what one window can hold.
        park(&mut self.parked, hold, family, key);
        paused.map_or(Refused::Parked, Refused::Paused)
    }

    /// The broker took an entry of this topic: it is open. Returns the entries that waited for it.
    pub fn succeeded(&mut self, topic: &str) -> Vec<Key> {
        if self.topics.is_empty() {
            return Vec::new();
        }
        let family = Family::of(topic);
        if self.topics.remove(&family).is_none() {
            return Vec::new();
        }
        self.parked
            .extract_if(.., |_, waits_for| *waits_for == family)
            .map(|(key, _)| key)
            .collect()
    }

    /// Entries to send as probes now: at most one per topic whose pause is over.
    pub fn due(&mut self, now: Duration) -> Vec<Key> {
        let mut probes = Vec::new();
        for (family, hold) in &mut self.topics {
            if hold.probe.is_some() || hold.until > now {
                continue;
            }
            if hold.waiting == 0 {
                continue;
            }
            let oldest = self
                .parked
                .iter()
                .find(|(_, waits_for)| *waits_for == family)
                .map(|(key, _)| *key);
            if let Some(key) = oldest {
                self.parked.remove(&key);
                hold.waiting -= 1;
                hold.probe = Some(key);
                probes.push(key);
            }
        }
        probes
    }

    /// When [`Holds::due`] is worth asking next: the end of a pause for which something waits.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        self.topics
            .values()
            .filter(|hold| hold.probe.is_none() && hold.waiting > 0)
            .map(|hold| hold.until)
            .min()
    }

    /// An entry no longer exists, or could not be sent.
    pub fn gone(&mut self, key: Key) {
        if let Some(family) = self.parked.remove(&key)
            && let Some(hold) = self.topics.get_mut(&family)
        {
            hold.waiting -= 1;
        }
        for hold in self.topics.values_mut() {
            if hold.probe == Some(key) {
                hold.probe = None;
            }
        }
    }

    /// The connection is gone: probes without an answer wait for their topic's next turn. That
    /// counts as a refusal, because Mosquitto 2.0 closes on a forbidden topic, and its answer may
    /// not arrive before; but nothing is given up for it.
    pub fn connection_lost(&mut self, now: Duration) {
        for (family, hold) in &mut self.topics {
            if let Some(key) = hold.probe.take() {
                hold.tries = hold.tries.saturating_add(1);
                hold.until = now + hold.why.pause(hold.tries);
                park(&mut self.parked, hold, family.clone(), key);
            }
        }
    }
}

fn park(parked: &mut BTreeMap<Key, Family>, hold: &mut Hold, family: Family, key: Key) {
    if parked.insert(key, family).is_none() {
        hold.waiting += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tillwatch_protocol::Lane;

    const ALERTS: &str = "stores/S03/alerts";

    fn key(lane_seq: u64) -> Key {
        Key {
            lane: Lane::Urgent,
            lane_seq,
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_forbidden_topic_waits_and_the_others_go_on() {
        let mut holds = Holds::default();
        assert_eq!(holds.admit(key(1), ALERTS, s(0)), Admission::Send);
        assert_eq!(
            holds.refused(key(1), ALERTS, Why::Denied, s(0)),
            Refused::Paused(s(60))
        );
        assert_eq!(holds.admit(key(2), ALERTS, s(1)), Admission::Parked);
        assert_eq!(
            holds.admit(key(3), "stores/S03/reviews", s(1)),
            Admission::Send
        );
        assert!(holds.is_parked(key(2)) && !holds.is_parked(key(3)));
    }

    #[test]
    fn after_the_pause_one_probe_goes_and_its_success_opens_the_topic_in_order() {
        let mut holds = Holds::default();
        for n in [3, 1, 2] {
            holds.refused(key(n), ALERTS, Why::NoConsumer, s(0));
        }
        assert_eq!(holds.due(s(4)), []);
        assert_eq!(holds.wake(), Some(s(5)));
        assert_eq!(holds.due(s(5)), [key(1)]);
        assert_eq!(holds.due(s(5)), [], "one probe at a time");
        assert_eq!(holds.admit(key(1), ALERTS, s(5)), Admission::Send);
        assert_eq!(holds.admit(key(4), ALERTS, s(5)), Admission::Parked);
        assert_eq!(holds.succeeded(ALERTS), [key(2), key(3), key(4)]);
        assert_eq!(holds.admit(key(5), ALERTS, s(5)), Admission::Send);
        assert!(holds.is_empty());
    }

    #[test]
    fn the_pause_grows_with_refused_probes_only() {
        let mut holds = Holds::default();
        holds.refused(key(1), ALERTS, Why::NoConsumer, s(0));
        holds.refused(key(2), ALERTS, Why::NoConsumer, s(1));
        assert_eq!(holds.wake(), Some(s(5)), "the second was no probe");
        holds.due(s(5));
        holds.refused(key(1), ALERTS, Why::NoConsumer, s(5));
        assert_eq!(holds.wake(), Some(s(15)));
    }

    #[test]
    fn what_stays_forbidden_is_given_up_one_by_one_and_no_consumer_never() {
        let probes_until_given_up = |why: Why| {
            let mut holds = Holds::default();
            holds.refused(key(1), ALERTS, why, s(0));
            (1..100).find(|_| {
                let now = holds.wake().unwrap();
                let probe = holds.due(now)[0];
                holds.refused(probe, ALERTS, why, now) == Refused::GiveUp
            })
        };
        assert_eq!(probes_until_given_up(Why::Denied), Some(DENIED_TRIES));
        assert_eq!(probes_until_given_up(Why::NoConsumer), None);
    }

    #[test]
    fn a_probe_that_was_lost_with_its_connection_waits_again() {
        let mut holds = Holds::default();
        holds.refused(key(1), ALERTS, Why::Denied, s(0));
        assert_eq!(holds.due(s(60)), [key(1)]);
        assert!(!holds.is_parked(key(1)));
        holds.connection_lost(s(60));
        assert!(holds.is_parked(key(1)));
        assert_eq!(holds.wake(), Some(s(180)), "the pause has grown");
        assert_eq!(holds.due(s(180)), [key(1)]);
        holds.gone(key(1));
        assert_eq!(holds.due(s(9_999)), []);
        assert_eq!(holds.wake(), None, "nothing waits for this topic");
    }

    #[test]
    fn the_memory_is_bounded_and_the_lane_waits_then() {
        let mut holds = Holds::default();
        holds.refused(key(0), ALERTS, Why::Denied, s(0));
        for n in 1..PARKED_MAX as u64 {
            assert_eq!(holds.admit(key(n), ALERTS, s(0)), Admission::Parked);
        }
        assert_eq!(holds.admit(key(u64::MAX), ALERTS, s(0)), Admission::Full);
        assert_eq!(holds.parked(), PARKED_MAX);
    }

    #[test]
    fn stills_share_one_fate_and_alerts_have_their_own() {
        let family = |topic| Family::of(topic).filter().to_owned();
        assert_eq!(family("stores/S03/alerts"), "stores/S03/alerts");
        assert_eq!(
            family("stores/S03/alerts/1/still"),
            family("stores/S03/alerts/2/still")
        );
        assert_ne!(
            family("stores/S03/alerts/1/still"),
            family("stores/S03/alerts")
        );
    }
}
