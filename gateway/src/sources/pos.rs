//! One POS event, whoever brought it: read, checked for being ours, sent into the pipeline.

use super::transaction::mask_bytes;
use crate::Shared;
use crate::config::Config;
use crate::intake::{Closed, Taken};
use tillwatch_protocol::pos::{ParseContext, PosFlag, Refusal, parse_pos_event};
use tillwatch_protocol::{EventBody, PosEvent, QUARANTINE_BYTES, Quarantined, Seq, Stamp};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Where a body came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// `pos.mqtt` or `pos.http`.
    pub source: &'static str,
    /// Topic, path or address.
    pub place: &'a str,
    /// The store that the topic names.
    pub store: Option<&'a str>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// On disk at this position.
    New(Seq),
    /// A redelivery of the event at this position.
    Again(Seq),
    /// Of another store or register: counted, not kept.
    NotOurs,
}

/// Why an event was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be understood; it is in the quarantine.
    #[error(transparent)]
    Quarantined(Refusal),
    /// The gateway cannot take anything now; try again.
    #[error("the gateway cannot take events now: {0}")]
    Unavailable(String),
}

/// An event that is on its way: what [`settled`] waits for.
#[derive(Debug)]
pub enum Pending {
    /// In the bulk lane.
    Sent(oneshot::Receiver<Taken>),
    /// Nothing to wait for.
    NotOurs,
    /// On its way into the quarantine.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Ends when it is there.
        kept: JoinHandle<Result<(), Refused>>,
    },
}

/// Reads a body and sends it on its way: into the pipeline, or into the quarantine. Waits for
/// nothing but room in the lane, so that garbage does not hold up what comes behind it.
///
/// # Errors
/// [`Refused::Unavailable`] when the pipeline has stopped.
pub async fn submit(shared: &Shared, origin: Origin<'_>, body: &[u8]) -> Result<Pending, Refused> {
    let stamp = shared.clock.stamp();
    let config = shared.config.borrow().clone();
    let context = match config.zone() {
        Ok(zone) => ParseContext {
            zone,
            minor_digits: config.minor_digits(),
        },
        Err(why) => return Err(Refused::Unavailable(why.to_string())),
    };
    let mut event = match parse_pos_event(body, &context) {
        Ok(event) => event,
        Err(refusal) => {
            let item = quarantined(stamp, origin, &refusal, body);
            let shared = shared.clone();
            let kept = tokio::spawn(async move { quarantine(&shared, item).await });
            return Ok(Pending::Refused { refusal, kept });
        }
    };
    if let Err(foreign) = claim(&mut event, origin.store, &config) {
        metrics::counter!("pos_events_not_ours_total", "other" => foreign).increment(1);
        return Ok(Pending::NotOurs);
    }
    let sent = shared
        .intake
        .bulk(stamp, EventBody::Pos(Box::new(event)))
        .await;
    sent.map(Pending::Sent)
        .map_err(|Closed| Refused::Unavailable(Closed.to_string()))
}

/// Waits until what was submitted is on disk, as an event or in the quarantine.
///
/// # Errors
/// [`Refused::Quarantined`] when it could not be understood, [`Refused::Unavailable`] when the
/// program ends or the disk fails meanwhile.
pub async fn settled(shared: &Shared, pending: Pending) -> Result<Accepted, Refused> {
    let unavailable = |why: String| Refused::Unavailable(why);
    let taken = match pending {
        Pending::NotOurs => return Ok(Accepted::NotOurs),
        Pending::Refused { refusal, kept } => {
            kept.await.map_err(|why| unavailable(why.to_string()))??;
            return Err(Refused::Quarantined(refusal));
        }
        Pending::Sent(taken) => taken.await.map_err(|_| unavailable(Closed.to_string()))?,
    };
    let (accepted, seq) = match taken {
        Taken::New(seq) => (Accepted::New(seq), seq),
        Taken::Again(seq) => (Accepted::Again(seq), seq),
        Taken::NotOurs => return Ok(Accepted::NotOurs),
    };
    shared
        .store
        .durable_through(seq)
        .await
        .map_err(|why| unavailable(why.to_string()))?;
    Ok(accepted)
}

/// Whether an event belongs to this register; fills in the store that only the topic names.
/// Says `store` or `register` for what is not ours.
fn claim(
    event: &mut PosEvent,
    topic_store: Option<&str>,
    config: &Config,
) -> Result<(), &'static str> {
    let is_our_store = |name: &str| {
        config.store_code.as_ref().is_none_or(|code| {
            code.as_str() == name || config.pos.store_aliases.iter().any(|alias| alias == name)
        })
    };
    match (event.store_id.as_deref(), topic_store) {
        (None, None) => {}
        (None, Some(topic)) => {
            if !is_our_store(topic) {
                return Err("store");
            }
            event.store_id = Some(topic.to_owned());
        }
        (Some(body), None) => {
            if !is_our_store(body) {
                return Err("store");
            }
        }
        // The topic is what the broker's access rules vouch for.
        (Some(body), Some(topic)) => {
            if !is_our_store(topic) {
                return Err("store");
            }
            let same = body == topic || (config.store_code.is_some() && is_our_store(body));
            if !same {
                event.flags.push(PosFlag::StoreDiffersFromTopic);
            }
        }
    }
    match (&event.register_id, &config.register_id) {
        (Some(register), Some(ours)) if register != ours.as_str() => Err("register"),
        (None, Some(_)) if !config.store_leader => Err("register"),
        _ => Ok(()),
    }
}

fn quarantined(stamp: Stamp, origin: Origin<'_>, refusal: &Refusal, body: &[u8]) -> Quarantined {
    Quarantined {
        stamp,
        source: origin.source.into(),
        reason: refusal.reason().into(),
        text: refusal.to_string(),
        origin: origin.place.chars().take(256).collect(),
        raw: body[..body.len().min(QUARANTINE_BYTES)].to_vec(),
        size: u64::try_from(body.len()).unwrap_or(u64::MAX),
    }
}

/// Puts something into the quarantine and counts it.
///
/// # Errors
/// [`Refused::Unavailable`] when the disk does not take it.
pub async fn quarantine(shared: &Shared, mut item: Quarantined) -> Result<(), Refused> {
    item.raw = mask_bytes(&item.raw);
    let (source, reason) = (item.source.clone(), item.reason.clone());
    tracing::warn!(
        source,
        origin = item.origin,
        size = item.size,
        "quarantined: {}",
        item.text
    );
    let kept = shared.store.quarantine(item).await;
    kept.map_err(|why| Refused::Unavailable(why.to_string()))?;
    metrics::counter!("events_quarantined_total", "source" => source, "reason" => reason)
        .increment(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use tillwatch_protocol::{RegisterId, StoreCode};

    fn event(store: Option<&str>, register: Option<&str>) -> PosEvent {
        let context = ParseContext {
            zone: TimeZone::UTC,
            minor_digits: 2,
        };
        let mut event = parse_pos_event(br#"{"event_id":"1","event_type":"x"}"#, &context).unwrap();
        event.store_id = store.map(str::to_owned);
        event.register_id = register.map(str::to_owned);
        event
    }

    fn ours() -> Config {
        let mut config = Config {
            store_code: Some(StoreCode::new("S03").unwrap()),
            register_id: Some(RegisterId::new("reg_02").unwrap()),
            ..Config::default()
        };
        config.pos.store_aliases = vec!["store_001".into()];
        config
    }

    #[test]
    fn without_an_identity_everything_is_ours() {
        let config = Config::default();
        assert_eq!(
            claim(
                &mut event(Some("store_001"), Some("reg_07")),
                Some("x"),
                &config
            ),
            Ok(())
        );
    }

    #[test]
    fn a_store_is_ours_by_its_code_or_an_alias() {
        let config = ours();
        assert_eq!(claim(&mut event(Some("S03"), None), None, &config), Ok(()));
        assert_eq!(
            claim(&mut event(Some("store_001"), None), Some("S03"), &config),
            Ok(())
        );
        assert_eq!(
            claim(&mut event(Some("S04"), None), None, &config),
            Err("store")
        );
        assert_eq!(
            claim(&mut event(None, None), Some("S04"), &config),
            Err("store")
        );
        let mut unnamed = event(None, None);
        assert_eq!(claim(&mut unnamed, Some("store_001"), &config), Ok(()));
        assert_eq!(unnamed.store_id.as_deref(), Some("store_001"));
    }

    #[test]
    fn the_topic_wins_over_the_body_and_the_difference_is_flagged() {
        let mut contradiction = event(Some("S04"), None);
        assert_eq!(claim(&mut contradiction, Some("S03"), &ours()), Ok(()));
        assert!(
            contradiction
                .flags
                .contains(&PosFlag::StoreDiffersFromTopic)
        );
    }

    #[test]
    fn other_registers_are_not_joined_and_a_missing_one_belongs_to_the_leader() {
        let mut config = ours();
        assert_eq!(
            claim(&mut event(None, Some("reg_01")), None, &config),
            Err("register")
        );
        assert_eq!(
            claim(&mut event(None, Some("reg_02")), None, &config),
            Ok(())
        );
        assert_eq!(claim(&mut event(None, None), None, &config), Ok(()));
        config.store_leader = false;
        assert_eq!(
            claim(&mut event(None, None), None, &config),
            Err("register")
        );
    }
}
