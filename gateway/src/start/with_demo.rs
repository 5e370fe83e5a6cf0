//! A shop in software beside the gateway: the whole register, or only a till.

use super::{Chosen, Mode, Options, Simulated, StartError};
use crate::config::Config;
use crate::demo::{self, till};
use crate::run::Devices;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toml::Value;

/// Store and register as the simulated till names them.
fn names(config: &Config) -> (String, String) {
    let store = config
        .store_code
        .as_ref()
        .map_or("S01", |code| code.as_str());
    let register = config
        .register_id
        .as_ref()
        .map_or("reg_01", |id| id.as_str());
    (store.to_owned(), register.to_owned())
}

/// Starts what stands for a shop in this mode.
pub(super) fn simulate(
    mode: Mode,
    options: &Options,
    config: &Config,
    scratch: Option<&Path>,
    news: &mpsc::Sender<String>,
    shutdown: &CancellationToken,
) -> Result<Simulated, StartError> {
    let (store, register) = names(config);
    let mut simulated = Simulated {
        devices: Devices::default(),
        stop: Box::new(|| {}),
    };
    if mode != Mode::Demo && !options.simulate_pos {
        return Ok(simulated);
    }
    let (events, queue) = mpsc::channel(till::QUEUE);
    tokio::spawn(till::publish(
        config.pos.mqtt.clone(),
        store.clone(),
        queue,
        shutdown.clone(),
    ));
    if options.simulate_pos {
        tokio::spawn(till::cycle(
            store,
            register,
            events.clone(),
            shutdown.clone(),
        ));
    }
    if let (Mode::Demo, Some(scratch)) = (mode, scratch) {
        let wires = demo::Wires::new(&printer_link(scratch), events)?;
        simulated.devices = wires.devices();
        let stop = tillwatch_simulator::Stop::new();
        let news = news.clone();
        let thread = demo::live(config, wires, stop.clone(), move |title, description| {
            // A terminal that cannot keep up misses a heading.
            let _ = news.try_send(format!("\n--- {title}: {description}"));
        })?;
        simulated.stop = Box::new(move || {
            stop.stop();
            let _ = thread.join();
        });
    }
    Ok(simulated)
}

/// The line that stands for the printer's serial port in the demo.
fn printer_link(scratch: &Path) -> PathBuf {
    scratch.join("printer")
}

/// What the demo chooses where nobody else did, and its directory.
pub(super) fn chosen_by_demo(mode: Mode, options: &Options) -> Result<Chosen, StartError> {
    let text = |key: &str, value: &str| (key.to_owned(), Value::String(value.to_owned()));
    let mut chosen = Vec::new();
    let mut scratch = None;
    match mode {
        Mode::Register => return Ok((chosen, None)),
        Mode::Publisher => {
            chosen.push(text("pos.mqtt.host", "127.0.0.1"));
            return Ok((chosen, None));
        }
        Mode::Demo => {
            let path = std::env::temp_dir().join(format!("tillwatch-demo-{}", std::process::id()));
            make_own_dir(&path)?;
            chosen.extend([
                text("data", &path.join("data").display().to_string()),
                text("printer.port", &printer_link(&path).display().to_string()),
                text("store_code", "S01"),
                text("register_id", "reg_01"),
                // The stories should score alike at any hour.
                text("opening_hours", "00:00-23:59"),
                ("pos.enabled".to_owned(), Value::Boolean(true)),
                // Clips are to be seen soon, and a newcomer's disk is not ours.
                ("clips.window_s".to_owned(), Value::Integer(4)),
                ("storage.media_mib".to_owned(), Value::Integer(128)),
            ]);
            // A newcomer has something at the usual port already: another one is better than an
            // end, and the terminal says which. Whoever names an address gets that or none.
            let usual = Config::default().web.listen;
            if TcpListener::bind(usual).is_err() {
                let any = SocketAddr::new(usual.ip(), 0);
                chosen.push(text("web.listen", &any.to_string()));
            }
            scratch = Some(path);
        }
        Mode::PosOnly => {
            let path = state_home().join("tillwatch");
            if options.data.is_none() && std::env::var_os("DB_PATH").is_none() {
                make_dir(&path)?;
            }
            chosen.push(text("data", &path.display().to_string()));
        }
    }
    let elsewhere = [
        "MQTT_HOST",
        "TILLWATCH_POS__MQTT__HOST",
        "TILLWATCH_UPLINK__MQTT__HOST",
    ];
    if elsewhere
        .iter()
        .all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
    {
        let address = demo::broker::start()?;
        for section in ["pos.mqtt", "uplink.mqtt"] {
            chosen.push(text(&format!("{section}.host"), &address.ip().to_string()));
            chosen.push((
                format!("{section}.port"),
                Value::Integer(i64::from(address.port())),
            ));
        }
    }
    Ok((chosen, scratch))
}

/// A directory that is ours alone and was not there before: others may write beside it.
fn make_own_dir(path: &Path) -> Result<(), StartError> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|why| StartError::DataDir {
        path: path.to_owned(),
        why,
    })
}

fn make_dir(path: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(path).map_err(|why| StartError::DataDir {
        path: path.to_owned(),
        why,
    })
}

fn state_home() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
}

/// Only the simulated till, until a signal.
pub(super) async fn publisher(
    config: &Config,
    shutdown: &CancellationToken,
) -> Result<(), StartError> {
    crate::broker::install_crypto();
    let (store, register) = names(config);
    let (events, queue) = mpsc::channel(till::QUEUE);
    tokio::join!(
        till::publish(
            config.pos.mqtt.clone(),
            store.clone(),
            queue,
            shutdown.clone()
        ),
        till::cycle(store, register, events, shutdown.clone()),
    );
    Ok(())
}
