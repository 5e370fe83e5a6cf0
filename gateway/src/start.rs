//! From the command line to a running gateway: which configuration, which mode, signals, reload,
//! the program's own log and what the terminal shows.

#[cfg(feature = "demo")]
mod with_demo;
#[cfg(not(feature = "demo"))]
mod without_demo;

#[cfg(feature = "demo")]
use with_demo as shop;
#[cfg(not(feature = "demo"))]
use without_demo as shop;

use crate::config::layers::Given;
use crate::config::{Config, ConfigError, Layers};
use crate::mode::{CONFIG_DIR, ConfigLost, Mode, Options, given, mode};
use crate::run::{self, Devices, RunError, Started};
use crate::terminal;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use toml::Value;

/// Texts that wait for the terminal.
const NEWS: usize = 64;

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A register whose configuration is lost.
    #[error(transparent)]
    ConfigLost(#[from] ConfigLost),
    /// This build has no demo.
    #[error("no configuration is given and this build has no demo mode; name a file with --config")]
    NoDemo,
    /// The demo.
    #[cfg(feature = "demo")]
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoError),
    /// A directory for the demo's data.
    #[error("cannot make a directory for the data in {path}: {why}; name one with --data")]
    DataDir {
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// Signals.
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
    /// The gateway.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl StartError {
    /// 2 for wrong usage or configuration, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::ConfigLost(_) | Self::NoDemo => 2,
            Self::Run(why) if why.is_usage() => 2,
            _ => 1,
        }
    }
}

/// Runs what was asked for, to its end.
pub async fn main(options: Options) -> ExitCode {
    match start(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let mut text = why.to_string();
            let mut source = std::error::Error::source(&why);
            while let Some(inner) = source {
                if !text.contains(&inner.to_string()) {
                    text = format!("{text}: {inner}");
                }
                source = inner.source();
            }
            terminal::complain(&text);
            ExitCode::from(why.exit_code())
        }
    }
}

async fn start(options: Options) -> Result<(), StartError> {
    let (mode, file) = mode(&options, Path::new(CONFIG_DIR))?;
    let shutdown = CancellationToken::new();
    let (chosen, scratch) = shop::chosen_by_demo(mode, &options)?;
    let given = given(&options, file, chosen);
    let layers = Layers::load(&given)?;
    start_log(layers.config(), mode);
    let terminate = listen_to_signals().map_err(StartError::Signals)?;
    tokio::spawn(stop_on_signals(terminate, shutdown.clone()));
    let result = match mode {
        Mode::Publisher => shop::publisher(layers.config(), &shutdown).await,
        _ => gateway(mode, &options, layers, given, &shutdown, scratch.as_deref()).await,
    };
    if let (Mode::Demo, Some(scratch)) = (mode, scratch) {
        // The demo's data is of no use to anybody afterwards.
        let _ = std::fs::remove_dir_all(scratch);
    }
    result
}

async fn gateway(
    mode: Mode,
    options: &Options,
    layers: Layers,
    given: Given,
    shutdown: &CancellationToken,
    scratch: Option<&Path>,
) -> Result<(), StartError> {
    let config = Arc::new(layers.config().clone());
    let (sender, reload) = watch::channel(config.clone());
    tokio::spawn(reload_on_hangup(given, sender, shutdown.clone()));
    let (news, waiting) = mpsc::channel(NEWS);
    let simulated = shop::simulate(mode, options, &config, scratch, &news, shutdown)?;
    let demo = mode == Mode::Demo;
    let ended = run::run(
        layers,
        demo,
        simulated.devices,
        shutdown.clone(),
        reload,
        |started| {
            welcome(mode, &config, &started, &news);
            tokio::spawn(terminal::show(started.shared, waiting, shutdown.clone()));
        },
    )
    .await;
    // Whoever else waits for the end, when the gateway ended by itself.
    shutdown.cancel();
    (simulated.stop)();
    ended.map_err(StartError::from)
}

/// What runs beside the gateway to stand for a shop.
struct Simulated {
    devices: Devices,
    stop: Box<dyn FnOnce() + Send>,
}

/// Keys with values, and the directory that is removed afterwards.
type Chosen = (Vec<(String, Value)>, Option<PathBuf>);

/// How to see more, told once everything is up.
fn welcome(mode: Mode, config: &Config, started: &Started, news: &mpsc::Sender<String>) {
    let mut text = String::new();
    let web = started.web;
    let scheme = if web.ip().is_loopback() {
        "http"
    } else {
        "https"
    };
    if mode == Mode::Demo {
        text.push_str(
            "Tillwatch DEMO: a simulated register; nothing here is real.\n\
             A short day of five stories begins now and repeats every minute and a half.\n\n",
        );
        text.push_str(&open_page(config.web.listen, web));
    }
    let data = config.data.display();
    text.push_str(&format!(
        "API:      {scheme}://{web}/api/status   (metrics: /metrics, live: /api/live)\n"
    ));
    if let Some(host) = &config.uplink.mqtt.host {
        let port = config.uplink.mqtt.effective_port();
        text.push_str(&format!(
            "Alerts:   mosquitto_sub -V 5 -h {host} -p {port} -t 'stores/#' -v\n"
        ));
    }
    text.push_str(&format!(
        "Commands: tillwatch status --data {data}   (also: events, alerts)\n"
    ));
    text.push_str("Stop with Ctrl-C.");
    // The terminal takes it as its first block.
    let _ = news.try_send(text);
}

/// Where to look, as the first thing that somebody reads; `wanted` is what was configured.
fn open_page(wanted: SocketAddr, web: SocketAddr) -> String {
    // The demo asks for any port only when the usual one is somebody else's.
    let usual = Config::default().web.listen.port();
    let taken = if wanted.port() == 0 && web.port() != usual {
        format!("   (port {usual} is taken)")
    } else {
        String::new()
    };
    format!("  Open  http://{web}  in a browser.{taken}\n\n")
}

fn start_log(config: &Config, mode: Mode) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{Layer as _, fmt, registry};
    let on_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    // On a terminal the blocks and the status line tell the story.
    let level = if on_terminal && mode != Mode::Register && config.log.level == "info" {
        "warn"
    } else {
        config.log.level.as_str()
    };
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    // Brokers' libraries say much; each only what matters, and nothing beyond what was asked for.
    let filter = Targets::new()
        .with_default(level)
        .with_target("rumqttd", level.min(LevelFilter::ERROR))
        .with_target("rumqttc", level.min(LevelFilter::WARN));
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(on_terminal)
        // Whoever read standard error may be gone: to complain there would end the task that logs,
        // and the first one is that which stops the program.
        .log_internal_errors(false);
    // A second start in one process (tests) keeps the first one's log.
    let _ = registry().with(lines.with_filter(filter)).try_init();
}

fn listen_to_signals() -> std::io::Result<[Signal; 2]> {
    Ok([
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    ])
}

async fn stop_on_signals([mut terminate, mut interrupt]: [Signal; 2], shutdown: CancellationToken) {
    for again in [false, true] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if again {
            // Everything accepted is on disk: leaving at once loses nothing.
            tracing::warn!("second signal: leaving at once");
            std::process::exit(1);
        }
        tracing::info!("stopping");
        shutdown.cancel();
    }
}

/// SIGHUP reads the configuration again: whole, or not at all.
async fn reload_on_hangup(
    given: Given,
    config: watch::Sender<Arc<Config>>,
    shutdown: CancellationToken,
) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = hangup.recv() => {}
        }
        match Layers::load(&given) {
            Ok(layers) => {
                let old = config.borrow().clone();
                let (new, waiting) = taking_effect(&old, layers.config());
                for key in waiting {
                    tracing::warn!("`{key}` changed; it takes effect at the next start");
                }
                tracing::info!("the configuration is reloaded");
                // Everybody may have gone already.
                let _ = config.send(Arc::new(new));
            }
            Err(why) => tracing::error!(%why, "the configuration stays as it was"),
        }
    }
}

/// What a running gateway can take of `new`: keys that are read once keep their old values, and are
/// named, so that no part runs with a half of each.
fn taking_effect(old: &Config, new: &Config) -> (Config, Vec<&'static str>) {
    let mut effective = new.clone();
    let mut waiting = Vec::new();
    macro_rules! at_start {
        ($($key:ident),*) => {$(
            if effective.$key != old.$key {
                waiting.push(stringify!($key));
                effective.$key.clone_from(&old.$key);
            }
        )*};
    }
    at_start!(
        store_code,
        register_id,
        store_leader,
        currency,
        data,
        pos,
        drawer,
        kick,
        printer,
        cameras,
        clips,
        web,
        ingest,
        storage,
        log
    );
    (effective, waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_is_told_where_to_look_and_why_it_is_another_port() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(
            open_page(at(8080), at(8080)),
            "  Open  http://127.0.0.1:8080  in a browser.\n\n"
        );
        assert_eq!(
            open_page(at(0), at(40_123)),
            "  Open  http://127.0.0.1:40123  in a browser.   (port 8080 is taken)\n\n"
        );
    }

    #[test]
    fn what_takes_effect_only_at_a_start_is_named_and_stays() {
        let old = Config::default();
        let mut new = old.clone();
        new.detection.discount_threshold = 20.0;
        assert_eq!(taking_effect(&old, &new), (new.clone(), vec![]));
        new.printer.baud = 19_200;
        new.pos.enabled = true;
        let (effective, waiting) = taking_effect(&old, &new);
        assert_eq!(waiting, ["pos", "printer"]);
        assert_eq!(
            (&effective.pos, &effective.printer),
            (&old.pos, &old.printer)
        );
        assert_eq!(effective.detection.discount_threshold, 20.0);
    }
}
