//! From the outbox to head office's broker.
//!
//! The outbox on disk is the only truth. Each connection is made of a fresh client, a fresh event
//! loop and a fresh [`pump`], and starts with the oldest entry that is not acknowledged; whatever
//! goes wrong, everything about the connection is thrown away and nothing else is lost.
//!
//! | module | what |
//! | --- | --- |
//! | [`pump`] | one connection's window: packet ids, acknowledgements, watchdogs |
//! | [`lanes`] | which lane sends next |
//! | [`feed`] | reads ahead of the window |
//! | [`holds`] | topics that the broker refuses for now |
//! | [`live`] | birth and health, and when the broker forbids them |
//! | [`suspicion`] | the one message that a broker dies of |
//! | [`backoff`] | pauses between connections |
//! | `reading`, `wire` | an entry from disk, and as a packet |
//! | `traffic` | the above put together: from outbox to client, from PUBACK to outbox |
//! | `session` | one connection's life |
//! | [`health`] | the health message |
//!
//! A message counts as *acknowledged* when the broker said Success for exactly it. That is not
//! *delivered*: only head office can say that.

pub mod backoff;
mod carry;
pub mod feed;
mod gauges;
pub mod health;
pub mod holds;
pub mod lanes;
pub mod live;
pub mod pump;
mod reading;
mod session;
pub mod suspicion;
mod traffic;
mod wire;

use crate::Shared;
use crate::broker::{self, BrokerErrorKind, Distance};
use crate::config::Uplink;
use crate::health::{PartState, part};
use backoff::Backoff;
use carry::Carry;
use pump::Patience;
use session::{End, Session};
use std::time::Duration;
use tillwatch_protocol::topics::Upstream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Pause before files that could not be used are read again.
const FILES_AGAIN: Duration = Duration::from_secs(15);

/// Starts the uplink: one task that runs until `shutdown` and reconnects for ever. Without a
/// configured host its part is absent, and everything is kept. On shutdown it says goodbye to the
/// broker within about two seconds.
pub fn start(shared: Shared, shutdown: CancellationToken) -> JoinHandle<()> {
    start_with(shared, shutdown, Patience::default())
}

/// The same with another patience.
pub fn start_with(
    shared: Shared,
    shutdown: CancellationToken,
    patience: Patience,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        tokio::select! {
            () = gauges::run(&shared) => {}
            () = run(&shared, &shutdown, patience) => {}
        }
    })
}

async fn run(shared: &Shared, shutdown: &CancellationToken, patience: Patience) {
    let mut carry = Carry::new();
    let mut backoff = Backoff::default();
    let identity = &shared.identity;
    let topics = Upstream::new(identity.store.clone(), identity.register.clone());
    gauges::connected(false);
    while !shutdown.is_cancelled() {
        let uplink = shared.config.borrow().uplink.clone();
        let pause = match broker::options(&uplink.mqtt, &topics.client_id("up")) {
            Ok(options) => {
                let session = Session {
                    shared,
                    topics: &topics,
                    uplink: &uplink,
                    address: broker::address(&uplink.mqtt),
                    patience,
                };
                let stop = async {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = changed(shared, &uplink) => {}
                    }
                };
                let end = session.run(options, &mut carry, stop).await;
                gauges::connected(false);
                match end {
                    End::Stopped => continue,
                    End::Lost { reaction, progress } => {
                        if progress {
                            backoff.progress();
                        }
                        let host = uplink.mqtt.host.as_deref().unwrap_or_default();
                        let distance = tokio::select! {
                            () = shutdown.cancelled() => continue,
                            distance = Distance::to(host) => distance,
                        };
                        let pause = backoff.next(reaction, distance, backoff::random());
                        Some(pause.min(patience.pause))
                    }
                }
            }
            Err(error) => {
                let address = broker::address(&uplink.mqtt);
                match error.kind() {
                    BrokerErrorKind::Absent => {
                        shared.health.set(part::UPLINK, "", PartState::Absent);
                        None
                    }
                    kind => {
                        let reason = error.to_string();
                        let down = PartState::Down { reason };
                        shared.health.set(part::UPLINK, &address, down);
                        (kind == BrokerErrorKind::Files).then_some(FILES_AGAIN)
                    }
                }
            }
        };
        // Another configuration cuts every pause short.
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = changed(shared, &uplink) => backoff = Backoff::default(),
            () = sleep(pause) => {}
        }
    }
}

/// For this long, or for ever.
async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Resolves when the uplink's configuration is no longer `uplink`.
async fn changed(shared: &Shared, uplink: &Uplink) {
    let mut config = shared.config.clone();
    loop {
        if config.borrow_and_update().uplink != *uplink {
            return;
        }
        if config.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
