//! Wires the parts of a gateway together and takes them down again in order.

mod devices;
pub mod footage;
mod page;
mod upkeep;

use crate::clock::Clocks;
use crate::config::{Config, Layers};
use crate::health::{Health, PartState, part};
use crate::logins::Logins;
use crate::pipeline::{Pipeline, PipelineError, restore};
use crate::sources::device::Stop;
use crate::sources::{drawer, pos, pos_mqtt};
use crate::{Identity, Shared, broker, intake, live, uplink, web};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tillwatch_protocol::{Event, EventBody, Notice, Quarantined, Record, RegisterId, StoreCode};
use tillwatch_store::media::MediaError;
use tillwatch_store::{OutboxLimits, Store, StoreError, StoreOptions, failpoint};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// After a stop was asked for, everything in memory gets this long to reach the disk.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Why a gateway cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data directory cannot be used.
    #[error("the data in {dir} cannot be used: {why}")]
    Store {
        /// Which directory.
        dir: PathBuf,
        /// Why.
        #[source]
        why: StoreError,
    },
    /// Another daemon has the data.
    #[error(
        "another tillwatch (pid {pid}) is using {dir}; stop it first, or choose another --data"
    )]
    Locked {
        /// Which directory.
        dir: PathBuf,
        /// The other daemon.
        pid: u32,
    },
    /// An address is taken or not ours.
    #[error("cannot listen on {address}: {why}; choose another address or stop who uses it")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        why: std::io::Error,
    },
    /// Beyond loopback there is no page without TLS.
    #[error("cannot listen on {address} without a certificate: {why}")]
    Certificate {
        /// The address.
        address: std::net::IpAddr,
        /// Why there is none.
        why: web::tls::TlsError,
    },
    /// A device is named in a way that no device can be.
    #[error(transparent)]
    Device(#[from] tillwatch_drivers::DriverError),
    /// The footage.
    #[error("the footage in {dir} cannot be used: {why}")]
    Footage {
        /// Which directory.
        dir: PathBuf,
        /// Why.
        #[source]
        why: MediaError,
    },
    /// No more threads.
    #[error("cannot start the {thread} thread: {why}")]
    Thread {
        /// Which.
        thread: &'static str,
        /// What the system said.
        why: std::io::Error,
    },
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::Invalid),
    /// The pipeline ended.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A part panicked.
    #[error("the {part} ended unexpectedly: {why}")]
    Task {
        /// Which.
        part: &'static str,
        /// The panic.
        why: String,
    },
}

impl RunError {
    /// Whether the configuration or the way of starting is to blame (exit code 2).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. }
                | Self::Device(_)
                | Self::Config(_)
                | Self::Listen { .. }
                | Self::Certificate { .. }
        )
    }
}

/// Devices that are not the configured ones: the demo brings its own.
#[derive(Default)]
pub struct Devices {
    /// The drawer's lines, and whether the kick line is among them.
    pub drawer: Option<(drawer::OpenLines, bool)>,
    /// Cameras beside the configured ones.
    pub cameras: Vec<footage::BroughtCamera>,
}

/// What a started gateway tells its starter.
pub struct Started {
    /// Where page and API listen.
    pub web: std::net::SocketAddr,
    /// Shared parts, for the terminal.
    pub shared: Shared,
}

/// The path of the control socket: `/run/tillwatch` when systemd made it for us, else below the
/// data directory.
#[must_use]
pub fn control_socket(config: &Config) -> PathBuf {
    let run = Path::new("/run/tillwatch");
    if config.data == Path::new("/var/lib/tillwatch") && run.is_dir() {
        run.join("control.sock")
    } else {
        config.data.join("control.sock")
    }
}

fn identity(config: &Config, demo: bool) -> Result<Identity, crate::config::Invalid> {
    let named = |key: &'static str| {
        move |why: tillwatch_protocol::ids::NameError| crate::config::Invalid {
            key: key.to_owned(),
            why: why.to_string(),
        }
    };
    let store = match &config.store_code {
        Some(code) => code.clone(),
        None => StoreCode::new("S01").map_err(named("store_code"))?,
    };
    let register = match &config.register_id {
        Some(id) => id.clone(),
        None => RegisterId::new("reg_01").map_err(named("register_id"))?,
    };
    Ok(Identity {
        store,
        register,
        demo,
    })
}

fn open_store(
    config: &Config,
    cameras: Vec<String>,
    demo: bool,
) -> Result<(Store, Vec<String>), RunError> {
    let mut options = StoreOptions {
        log_budget_bytes: u64::from(config.storage.log_mib) << 20,
        quarantine_budget_bytes: u64::from(config.storage.quarantine_mib) << 20,
        // A demonstration takes nobody's disk.
        reserve: !demo,
        cameras: Some(cameras),
        ..StoreOptions::default()
    };
    options.outbox = OutboxLimits {
        max_entries: u64::from(config.storage.outbox_max),
        ..options.outbox
    };
    let opened = failpoint::options(&config.data, options)
        .and_then(|options| Store::open(&config.data, options));
    match opened {
        Ok((store, opened)) => Ok((store, opened.notices)),
        Err(StoreError::Locked { pid, .. }) => Err(RunError::Locked {
            dir: config.data.clone(),
            pid,
        }),
        Err(why) => Err(RunError::Store {
            dir: config.data.clone(),
            why,
        }),
    }
}

/// Runs a gateway until `shutdown`. `started` is called once everything is up.
///
/// # Errors
/// [`RunError`] when it cannot start, or when a part that it cannot live without ends.
pub async fn run(
    layers: Layers,
    demo: bool,
    devices: Devices,
    shutdown: CancellationToken,
    reload: watch::Receiver<Arc<Config>>,
    started: impl FnOnce(Started),
) -> Result<(), RunError> {
    let config = Arc::new(layers.config().clone());
    broker::install_crypto();
    // Before the first part counts anything.
    web::metrics::install();
    let identity = Arc::new(identity(&config, demo)?);
    if demo && !config.web.listen.ip().is_loopback() {
        return Err(RunError::Config(crate::config::Invalid {
            key: "web.listen".into(),
            why: format!(
                "is {}: the demo has no login and stays on loopback",
                config.web.listen
            ),
        }));
    }
    // Before listening: of two daemons on the same data the second one is told whose they are.
    let (store, notices) = {
        let (config, cameras) = (config.clone(), footage::names(&config, &devices.cameras));
        tokio::task::spawn_blocking(move || open_store(&config, cameras, demo))
            .await
            .map_err(|why| RunError::Task {
                part: "store",
                why: why.to_string(),
            })??
    };
    let listener = listen(config.web.listen).await?;
    let address = listener.local_addr().unwrap_or(config.web.listen);
    let restored = {
        let (store, data) = (store.clone(), config.data.clone());
        tokio::task::spawn_blocking(move || restore::restore(&store, &data))
            .await
            .map_err(|why| RunError::Task {
                part: "replay",
                why: why.to_string(),
            })??
    };
    tracing::info!(
        from = restored.from.0,
        replayed = restored.replayed,
        missing = restored.missing.len(),
        "the log is replayed"
    );
    let Devices { drawer, cameras } = devices;
    let shared_dir = config.data.join("media");
    let (footage, cameras) = {
        let (config, store) = (config.clone(), store.clone());
        let opened = tokio::task::spawn_blocking(move || {
            (footage::open(&config, &cameras, &store), cameras)
        });
        let (footage, cameras) = opened.await.map_err(|why| RunError::Task {
            part: "footage",
            why: why.to_string(),
        })?;
        let footage = footage.map_err(|why| RunError::Footage {
            dir: shared_dir.clone(),
            why,
        })?;
        (footage, cameras)
    };
    let parts = CancellationToken::new();
    let logins = {
        let (data, parts) = (config.data.clone(), parts.clone());
        tokio::task::spawn_blocking(move || Logins::open(Some(&data), parts))
            .await
            .map_err(|why| RunError::Task {
                part: "logins",
                why: why.to_string(),
            })?
    };
    let (intake, lanes) = intake::lanes();
    let (live_sender, _) = broadcast::channel(live::LIVE_BACKLOG);
    let shared = Shared {
        config: reload,
        identity,
        clock: Clocks::new(store.boot_ordinal()),
        store: store.clone(),
        health: Arc::new(Health::default()),
        logins,
        intake,
        live: live_sender,
        clips: footage.as_ref().map(|footage| footage.clips.clone()),
    };
    let poisoned = restored.poisoned.clone();
    let pipeline_stop = CancellationToken::new();
    let recorder_stop = CancellationToken::new();
    let pipeline = Pipeline::new(shared.clone(), restored);
    let mut pipeline = tokio::spawn(pipeline.run(lanes, pipeline_stop.clone()));

    report_opening(&shared, notices).await;
    let recorder = match footage {
        Some(mut footage) => {
            let notices = std::mem::take(&mut footage.notices);
            report_opening(&shared, notices).await;
            Some(footage.start(store.clone(), shared.clock, recorder_stop.clone()))
        }
        None => None,
    };
    let late = tokio::spawn({
        let shared = shared.clone();
        async move {
            let notice = shared.store.index().opened().await;
            report_opening(&shared, notice.into_iter().collect()).await;
        }
    });
    for event in poisoned {
        report_poison(&shared, event).await;
    }
    let stop = Stop::default();
    let mut threads = devices::start_devices(&shared, &config, drawer, &stop).await?;
    threads.extend(footage::start_cameras(&shared, &config, cameras, &stop).await?);
    let pos = pos_mqtt::start(shared.clone(), parts.clone());
    let uplink = uplink::start(shared.clone(), parts.clone());
    let servers = start_servers(&shared, &config, listener, &parts).await?;
    let folding = tokio::spawn(web::metrics::upkeep(parts.clone()));
    let housekeeping = tokio::spawn(upkeep::housekeeping(
        shared.clone(),
        config.data.clone(),
        parts.clone(),
    ));

    // Outside systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    started(Started {
        web: address,
        shared: shared.clone(),
    });

    let ended = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = &mut pipeline => Some(ended),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    // Sources first, so that nothing more comes in; then the pipeline, which empties its lanes;
    // then those who send and show.
    stop.stop();
    parts.cancel();
    let stopping = async {
        // The index is not needed any more.
        late.abort();
        for task in [pos, uplink, folding, housekeeping]
            .into_iter()
            .chain(servers)
        {
            // A part that panicked has said so.
            let _ = task.await;
        }
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
        pipeline_stop.cancel();
        match ended {
            Some(ended) => ended,
            None => pipeline.await,
        }
    };
    let result = match tokio::time::timeout(STOP_LIMIT, stopping).await {
        Ok(Ok(result)) => result.map_err(RunError::from),
        Ok(Err(why)) => Err(RunError::Task {
            part: "pipeline",
            why: why.to_string(),
        }),
        Err(_) => {
            let why = format!(
                "not everything stopped within {STOP_LIMIT:?}; what was accepted is on disk"
            );
            Err(RunError::Task { part: "stop", why })
        }
    };
    let waiting: u64 = store.outbox().depth().iter().sum();
    // The recorder last: what the pipeline still asked for is in the log.
    recorder_stop.cancel();
    if let Some(recorder) = recorder {
        // A panic has been told.
        let _ = recorder.await;
    }
    let media = shared.clips.as_ref().map(|clips| clips.media.clone());
    let _ = tokio::task::spawn_blocking(move || {
        if let Some(media) = media {
            footage::close(media);
        }
        store.close();
    })
    .await;
    tracing::info!(waiting, "stopped; what waits for head office is on disk");
    result
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, RunError> {
    TcpListener::bind(address)
        .await
        .map_err(|why| RunError::Listen {
            address: address.to_string(),
            why,
        })
}

/// What opening the store had to say becomes part of the log.
async fn report_opening(shared: &Shared, notices: Vec<String>) {
    for text in notices {
        tracing::warn!("{text}");
        let stamp = shared.clock.stamp();
        let notice = Notice {
            code: "store_opened".into(),
            text,
            stamp,
        };
        // The pipeline's end is reported by itself.
        let _ = shared
            .intake
            .witness_async(stamp, EventBody::Notice(notice))
            .await;
    }
}

/// An event that ended the program three times is kept for examination, and told.
async fn report_poison(shared: &Shared, event: Event) {
    let seq = event.seq;
    let mut raw = Vec::new();
    // Every record has a disk form; without it the position in the log still tells which it was.
    let _ = Record::Event(event).encode_into(&mut raw);
    let stamp = shared.clock.stamp();
    let text = format!("the event at position {seq} ended the program three times and is left out");
    let item = Quarantined {
        stamp,
        source: "pipeline".into(),
        reason: "ends_the_program".into(),
        text: text.clone(),
        origin: format!("log position {seq}"),
        size: u64::try_from(raw.len()).unwrap_or(0),
        raw,
    };
    if let Err(why) = pos::quarantine(shared, item).await {
        tracing::error!(%why, "the event is not in the quarantine; it is still in the log");
    }
    let notice = Notice {
        code: "event_left_out".into(),
        text,
        stamp,
    };
    // The pipeline's end is reported by itself.
    let _ = shared
        .intake
        .witness_async(stamp, EventBody::Notice(notice))
        .await;
}

async fn start_servers(
    shared: &Shared,
    config: &Config,
    listener: TcpListener,
    parts: &CancellationToken,
) -> Result<Vec<tokio::task::JoinHandle<()>>, RunError> {
    let mut servers = vec![page::serve(shared, config, listener, parts).await?];
    let health = &shared.health;
    match config.ingest.listen {
        Some(address) => {
            let listener = listen(address).await?;
            health.set(part::INGEST, &address.to_string(), PartState::Starting);
            servers.push(tokio::spawn(web::serve_ingest(
                listener,
                config.ingest.token_file.clone(),
                shared.clone(),
                parts.clone(),
                web::LISTEN_AGAIN,
            )));
        }
        None => health.set(part::INGEST, "", PartState::Absent),
    }
    let (path, shared, parts) = (control_socket(config), shared.clone(), parts.clone());
    let what = path.display().to_string();
    shared.health.set(part::CONTROL, &what, PartState::Starting);
    servers.push(tokio::spawn(async move {
        web::serve_control(&path, shared, parts, web::LISTEN_AGAIN).await;
    }));
    Ok(servers)
}
