//! Who saw footage. Every look is a record of the log, on disk before the first byte is shown:
//! whoever pulls the plug right after was seen.
//!
//! One record stands for a person's looks at the same thing in the same way within ten minutes.
//! When the log takes nothing (no disk, or it is being stopped), recorded footage is not shown: a
//! look that nobody could find out about would be worth waiting for. What a camera shows now is
//! shown all the same, and the record is missing, which is counted and told: a technician has to be
//! able to look through a camera on a box whose disk has failed, and past and evidence are not in it.

use super::App;
use super::access::Caller;
use super::extract::Query;
use super::problem::Problem;
use super::serve::Address;
use super::view::clock_word;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tillwatch_protocol::time::SECOND_NS;
use tillwatch_protocol::{ClipId, Look, Record, Seq, Shown};
use tillwatch_store::{Index, Urgency};
use utoipa::{IntoParams, ToSchema};

/// Looks without `limit`.
const DEFAULT: usize = 100;
/// So long one record stands for looks at the same thing in the same way.
const ONE_LOOK_NS: u64 = 600 * SECOND_NS;
/// Looks that are remembered for that; the oldest makes room, and its next look is recorded anew.
const REMEMBERED: usize = 4_096;
/// How long a picture waits for the record to be on disk.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// Who asks for footage, and from where.
pub(super) struct Looker {
    caller: Caller,
    from: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Looker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let from = match parts.extensions.get::<Address>() {
            Some(Address::Tcp(address)) => address.ip().to_string(),
            Some(Address::Control { .. }) => "control socket".into(),
            None => "this machine".into(),
        };
        // The proxy's word, and no more than that: anybody can say so.
        let forwarded = parts.headers.get("x-forwarded-for");
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        let from = match forwarded {
            Some(said) => {
                let said: String = said.chars().filter(|c| !c.is_control()).take(64).collect();
                format!("{from}, for {said}")
            }
            None => from,
        };
        Ok(Self {
            caller: caller.unwrap_or(Caller::Page),
            from,
        })
    }
}

/// Who saw what, in which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    who: String,
    what: Shown,
    clip: Option<ClipId>,
    camera: String,
}

/// Looks that one record stands for.
#[derive(Debug, Default)]
struct Recent(BTreeMap<Key, (u64, Seq)>);

impl Recent {
    /// The record that stands for a look at this moment.
    fn record(&self, key: &Key, now_ns: u64) -> Option<Seq> {
        let (at_ns, seq) = self.0.get(key)?;
        (now_ns.saturating_sub(*at_ns) < ONE_LOOK_NS).then_some(*seq)
    }

    fn note(&mut self, key: Key, now_ns: u64, seq: Seq) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0
                .retain(|_, (at_ns, _)| now_ns.saturating_sub(*at_ns) < ONE_LOOK_NS);
            let oldest = self.0.iter().min_by_key(|(_, (at_ns, _))| *at_ns);
            if self.0.len() >= REMEMBERED
                && let Some(oldest) = oldest.map(|(key, _)| key.clone())
            {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(key, (now_ns, seq));
    }

    fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

/// Recent looks, shared by the handlers.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks(Arc<Mutex<Recent>>);

impl App {
    /// Records a look, and waits until it is on disk. Called before anything is shown.
    ///
    /// # Errors
    /// A problem when it cannot be recorded; recorded footage is not shown then.
    pub(super) async fn look(
        &self,
        looker: &Looker,
        what: Shown,
        clip: Option<ClipId>,
        camera: &str,
    ) -> Result<(), Problem> {
        let who = looker.caller.name().await;
        let key = Key {
            who,
            what,
            clip,
            camera: camera.to_owned(),
        };
        let why = match self.record_look(looker, &key).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        metrics::counter!("looks_not_recorded_total").increment(1);
        if what == Shown::Snapshot {
            tracing::warn!(%why, who = key.who, camera, "a look at a camera is not recorded");
            return Ok(());
        }
        let detail = format!(
            "looks at footage are recorded, and this one cannot be: {why}; try again when the disk works"
        );
        Err(Problem::unavailable("audit", detail))
    }

    async fn record_look(&self, looker: &Looker, key: &Key) -> Result<(), String> {
        let store = &self.shared.store;
        let stamp = self.shared.clock.stamp();
        let recorded = {
            let lock = || self.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut recent = lock();
            match recent.record(key, stamp.monotonic_ns) {
                Some(seq) => seq,
                None => {
                    let look = Record::Look(Look {
                        stamp,
                        who: key.who.clone(),
                        role: match &looker.caller {
                            Caller::Person { role, .. } => Some(role.word().to_owned()),
                            _ => None,
                        },
                        from: looker.from.clone(),
                        what: key.what,
                        clip: key.clip,
                        camera: key.camera.clone(),
                    });
                    // Never waits for the disk. One at a time, so that many pictures at once are
                    // one look.
                    let appended = store.append(&[look], Urgency::Now);
                    let seq = appended.map_err(|why| why.to_string())?.first;
                    recent.note(key.clone(), stamp.monotonic_ns, seq);
                    metrics::counter!("looks_total", "what" => key.what.word()).increment(1);
                    seq
                }
            }
        };
        let durable = tokio::time::timeout(DISK_WAIT, store.durable_through(recorded)).await;
        let why = match durable {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(why)) => why.to_string(),
            Err(_) => format!("the disk took longer than {} s", DISK_WAIT.as_secs()),
        };
        let mut recent = self.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.forget(key);
        Err(why)
    }
}

/// Which looks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// At most this many, 1 to 1000; 100 without.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those before this position: the `seq` of the last one of the page before.
    #[serde(default, deserialize_with = "super::live::position")]
    before: Option<u64>,
}

/// Somebody saw footage.
#[derive(Debug, Serialize, ToSchema)]
pub struct LookView {
    /// Position in the log.
    seq: u64,
    /// When, RFC 3339 in UTC; the same person's looks at the same thing in the next ten minutes are
    /// this one.
    at: String,
    /// Whether that time can be believed: `synced` or `unsynced`.
    clock: &'static str,
    /// Who: a login, a user of the machine, `local page` where no login is asked for.
    who: String,
    /// The login's role.
    role: Option<String>,
    /// Where from.
    from: String,
    /// `frames`, `sheet`, `stream`, `video`, `still`, `export` or `snapshot`.
    what: &'static str,
    /// The clip's UUID; none for what a camera showed at that moment.
    clip: Option<String>,
    /// The camera.
    camera: String,
}

/// Who saw footage, the newest first, as far back as the log goes.
#[utoipa::path(get, path = "/api/audit", tag = "clips", params(AuditQuery), responses(
    (status = 200, description = "the newest first", body = [LookView]),
    (status = 400, description = "a parameter cannot be used", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "the index is being rebuilt; ask again", body = Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Vec<LookView>>, Problem> {
    let limit = super::events::limit(query.limit, DEFAULT, super::events::MOST)?;
    let before = query.before.map(Seq);
    let read = move |index: &Index| index.looks(before, limit);
    let looks = app.ask_index(read).await?.into_iter();
    Ok(Json(looks.map(|(seq, look)| view(seq, look)).collect()))
}

fn view(seq: Seq, look: Look) -> LookView {
    LookView {
        seq: seq.0,
        at: look.stamp.to_rfc3339(),
        clock: clock_word(look.stamp.clock),
        who: look.who,
        role: look.role,
        from: look.from,
        what: look.what.word(),
        clip: look.clip.map(|clip| clip.to_string()),
        camera: look.camera,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(who: &str, what: Shown) -> Key {
        Key {
            who: who.into(),
            what,
            clip: None,
            camera: "counter".into(),
        }
    }

    #[test]
    fn one_record_stands_for_ten_minutes_of_the_same_look() {
        let mut recent = Recent::default();
        let ann = key("ann", Shown::Video);
        assert_eq!(recent.record(&ann, 0), None);
        recent.note(ann.clone(), 0, Seq(7));
        assert_eq!(recent.record(&ann, ONE_LOOK_NS - 1), Some(Seq(7)));
        assert_eq!(recent.record(&ann, ONE_LOOK_NS), None);
        assert_eq!(recent.record(&key("ann", Shown::Sheet), 1), None);
        assert_eq!(recent.record(&key("eve", Shown::Video), 1), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_is_recorded_again() {
        let mut recent = Recent::default();
        for n in 0..=REMEMBERED as u64 {
            recent.note(key(&n.to_string(), Shown::Video), n, Seq(n));
        }
        let now_ns = REMEMBERED as u64;
        assert_eq!(recent.0.len(), REMEMBERED);
        assert_eq!(recent.record(&key("0", Shown::Video), now_ns), None);
        assert!(recent.record(&key("1", Shown::Video), now_ns).is_some());
    }
}
