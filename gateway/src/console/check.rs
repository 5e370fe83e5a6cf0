//! `check`: is everything configured, wired and reachable? Changes nothing. What a running
//! gateway holds open is asked from it instead of being taken away from it.

mod cameras;

use super::cli::Options;
use super::control::{Control, ControlError};
use super::{Failure, Out, find, text};
use crate::broker;
use crate::config::{Config, GpioBackend, Layers, Mqtt};
use crate::health::part;
use crate::web::Token;
use crate::web::status::Status;
use nix::sys::statvfs::statvfs;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tillwatch_drivers::discover::{probe_line, probe_port};
use tillwatch_drivers::drawer::line::LineSpec;
use tokio::net::TcpListener;

/// A broker answers within this time, or counts as unreachable.
const BROKER_TIME: Duration = Duration::from_secs(10);
/// Free space below which a gateway soon stops writing, in bytes.
const FREE_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Absent,
    Fail,
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    name: &'static str,
    state: State,
    /// What it is, or what to do about it.
    text: String,
}

impl Line {
    fn new(name: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(text) => Self {
                name,
                state: State::Ok,
                text,
            },
            Err(text) => Self {
                name,
                state: State::Fail,
                text,
            },
        }
    }

    fn absent(name: &'static str, text: &str) -> Self {
        Self {
            name,
            state: State::Absent,
            text: text.to_owned(),
        }
    }

    fn render(&self) -> String {
        let state = match self.state {
            State::Ok => "ok",
            State::Absent => "absent",
            State::Fail => "FAIL",
        };
        format!(
            "{state:<7} {:<14} {}",
            self.name,
            text::one_line(&self.text)
        )
        .trim_end()
        .to_owned()
    }
}

pub(super) async fn run(options: &Options, out: Out<'_>) -> Result<(), Failure> {
    let given = find::given(options)?;
    let file = given.file.as_ref().map_or_else(
        || "no file; defaults, environment and flags".into(),
        |path| path.display().to_string(),
    );
    let layers = match Layers::load(&given) {
        Ok(layers) => layers,
        Err(why) => {
            let line = Line::new("configuration", Err(why.to_string()));
            writeln!(out, "{}", line.render())?;
            return Err(Failure::Usage(
                "the configuration cannot be used; nothing else was checked".into(),
            ));
        }
    };
    let config = layers.config();
    let mut failed = false;
    let mut say = |line: Line| {
        failed |= line.state == State::Fail;
        writeln!(out, "{}", line.render())
    };
    say(Line::new("configuration", Ok(file)))?;
    let asked: Result<Status, _> = Control::of_data(&config.data).get("/api/status").await;
    say(gateway(&asked, tillwatch_store::holder(&config.data)))?;
    let running = asked.ok();
    say(Line::new("data", data(&config.data)))?;
    say(web(config.web.listen, running.is_some()).await)?;
    say(ingest(config, running.as_ref()).await)?;
    for line in devices(config, running.as_ref()) {
        say(line)?;
    }
    broker::install_crypto();
    let pos = config.pos.enabled.then_some(&config.pos.mqtt);
    say(probe_broker(
        "POS broker",
        pos,
        config,
        "not enabled; tills may still post their events",
    )
    .await)?;
    if let Some(Err(reason)) = held(part::POS_TOPICS, running.as_ref()) {
        say(Line::new("POS topics", Err(reason)))?;
    }
    let uplink = Some(&config.uplink.mqtt);
    say(probe_broker(
        "uplink broker",
        uplink,
        config,
        "no host; everything is kept here",
    )
    .await)?;
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// The gateway answers, or nobody has its data.
fn gateway(asked: &Result<Status, ControlError>, holder: Option<u32>) -> Line {
    const NAME: &str = "gateway";
    match (asked, holder) {
        (Ok(status), _) => Line::new(NAME, Ok(format!("running, pid {}", status.pid))),
        (Err(ControlError::Down(_)), None) => Line::absent(NAME, "not running"),
        (Err(why), None) => Line::new(NAME, Err(why.to_string())),
        (Err(ControlError::Down(path)), Some(pid)) => Line::new(
            NAME,
            Err(format!(
                "pid {pid} has the data, but nobody answers on {}; its log says why",
                path.display()
            )),
        ),
        (Err(why), Some(pid)) => Line::new(NAME, Err(format!("pid {pid} runs: {why}"))),
    }
}

/// The data directory takes a file, or can be made.
fn data(dir: &Path) -> Result<String, String> {
    let existing = dir
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let shown = existing.display();
    let probe = tempfile_in(existing);
    probe.map_err(|why| format!("{shown} cannot be written: {why}; give it to the gateway's user, or choose another --data"))?;
    let free = statvfs(existing).map_err(|why| format!("{shown}: {why}"))?;
    // Both are `u32` on some 32-bit boards.
    #[allow(clippy::unnecessary_cast)]
    let free = (free.blocks_available() as u64).saturating_mul(free.fragment_size() as u64);
    if free < FREE_BYTES {
        return Err(format!(
            "{shown} has only {} free; make room",
            text::bytes(free)
        ));
    }
    let made = if existing == dir {
        ""
    } else {
        " (made at the first start)"
    };
    Ok(format!(
        "{}{made}, {} free",
        dir.display(),
        text::bytes(free)
    ))
}

/// A file is made, written and removed again.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".tillwatch-check-{}", std::process::id()));
    let written = std::fs::write(&path, b"check");
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

async fn web(listen: SocketAddr, running: bool) -> Line {
    let what = format!("http://{listen}");
    if running {
        return Line::new("page and API", Ok(what));
    }
    let bound = TcpListener::bind(listen).await;
    Line::new(
        "page and API",
        bound.map(|_| what).map_err(|why| {
            format!("cannot listen on {listen}: {why}; choose another address or stop who uses it")
        }),
    )
}

async fn ingest(config: &Config, running: Option<&Status>) -> Line {
    const NAME: &str = "ingest";
    let Some(listen) = config.ingest.listen else {
        return Line::absent(NAME, "no listener of its own; tills use the API");
    };
    if let Some(path) = &config.ingest.token_file
        && let Err(why) = Token::from_file(path)
    {
        return Line::new(NAME, Err(why.to_string()));
    }
    // Our own rights to the token may be others than the gateway's.
    if let Some(said) = held(part::INGEST, running) {
        return Line::new(NAME, said);
    }
    match TcpListener::bind(listen).await {
        Err(why) if running.is_none() => Line::new(
            NAME,
            Err(format!(
                "cannot listen on {listen}: {why}; choose another address"
            )),
        ),
        _ => Line::new(NAME, Ok(listen.to_string())),
    }
}

/// What the running gateway says of a part that only it can know of.
fn held(name: &str, running: Option<&Status>) -> Option<Result<String, String>> {
    let part = running?.parts.get(name)?;
    match part.state.as_str() {
        "up" => Some(Ok(format!("{}, open in the running gateway", part.what))),
        "down" => Some(Err(part.reason.clone().unwrap_or_default())),
        _ => None,
    }
}

/// The same of a device that may be probed where the gateway does not have it open.
fn open(name: &str, running: Option<&Status>) -> Option<Result<String, String>> {
    held(name, running).filter(Result::is_ok)
}

fn devices(config: &Config, running: Option<&Status>) -> Vec<Line> {
    let mut lines = Vec::new();
    let wires = [
        (
            "drawer",
            part::DRAWER,
            &config.drawer.line,
            "no drawer.line: openings are not seen",
        ),
        (
            "kick line",
            part::KICK,
            &config.kick.line,
            "no kick.line: forced openings are judged by the printer's line alone",
        ),
    ];
    for (name, part, line, absent) in wires {
        lines.push(match line {
            None => Line::absent(name, absent),
            Some(line) => Line::new(
                name,
                open(part, running).unwrap_or_else(|| gpio(line, config.drawer.backend)),
            ),
        });
    }
    lines.push(match &config.printer.port {
        None => Line::absent("printer", "no printer.port: receipts are not seen"),
        Some(port) => Line::new(
            "printer",
            open(part::PRINTER, running).unwrap_or_else(|| match probe_port(port) {
                Ok(()) => Ok(format!(
                    "{} at {} baud",
                    port.display(),
                    config.printer.baud
                )),
                Err(why) => Err(why.to_string()),
            }),
        ),
    });
    lines.extend(cameras::lines(config, running));
    lines
}

fn gpio(line: &str, backend: GpioBackend) -> Result<String, String> {
    let spec: LineSpec = line
        .parse()
        .map_err(|why: tillwatch_drivers::DriverError| why.to_string())?;
    if backend == GpioBackend::Rppal {
        return Ok(format!("{spec}, opened by rppal at the start"));
    }
    let found = probe_line(&spec).map_err(|why| why.to_string())?;
    Ok(format!(
        "{spec} ({} line {})",
        found.chip.display(),
        found.offset
    ))
}

async fn probe_broker(
    name: &'static str,
    mqtt: Option<&Mqtt>,
    config: &Config,
    absent: &str,
) -> Line {
    let Some(mqtt) = mqtt.filter(|mqtt| mqtt.host.is_some()) else {
        return Line::absent(name, absent);
    };
    Line::new(name, connect(mqtt, config).await)
}

/// A whole MQTT connection with the configured transport and credentials, under a name of its
/// own, so that the running gateway keeps its connection.
async fn connect(mqtt: &Mqtt, config: &Config) -> Result<String, String> {
    let address = broker::address(mqtt);
    let store = config
        .store_code
        .as_ref()
        .map_or("S01", |code| code.as_str());
    let register = config
        .register_id
        .as_ref()
        .map_or("reg_01", |id| id.as_str());
    let options = broker::options(mqtt, &format!("tw-{store}-{register}-check"))
        .map_err(|why| why.to_string())?;
    let (client, mut connection) = AsyncClient::new(options, 1);
    let connected = tokio::time::timeout(BROKER_TIME, async {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => return Ok(()),
                Ok(_) => {}
                Err(why) => return Err(broker::explain(&why, &address).text),
            }
        }
    });
    match connected.await {
        Ok(Ok(())) => {
            // The broker need not keep a will or a session of a check.
            if client.try_disconnect().is_ok() {
                let _ = tokio::time::timeout(Duration::from_secs(1), connection.poll()).await;
            }
            Ok(address)
        }
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!(
            "{address} did not answer within {} s; check host, port and firewall",
            BROKER_TIME.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::status;
    use super::*;

    #[test]
    fn a_line_says_the_state_first() {
        assert_eq!(
            Line::new("drawer", Ok("GPIO17".into())).render(),
            "ok      drawer         GPIO17"
        );
        assert_eq!(Line::absent("printer", "").render(), "absent  printer");
        assert_eq!(
            Line::new("data", Err("/x cannot be written".into())).render(),
            "FAIL    data           /x cannot be written"
        );
    }

    #[test]
    fn a_data_directory_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        assert!(data(folder.path()).is_ok());
        let later = data(&folder.path().join("a/b")).unwrap();
        assert!(later.contains("made at the first start"), "{later}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_gateway_has_open_is_not_probed() {
        let mut config = Config::default();
        config.drawer.line = Some("GPIO17".into());
        config.printer.port = Some("/dev/ttyNONE".into());
        let lines = devices(&config, Some(&status::tests::status()));
        let states: Vec<_> = lines.iter().map(|line| (line.name, line.state)).collect();
        assert_eq!(
            states,
            [
                ("drawer", State::Ok),
                ("kick line", State::Absent),
                ("printer", State::Fail),
                ("camera", State::Absent)
            ]
        );
        assert!(
            lines[2].text.contains("/dev/ttyNONE does not exist"),
            "{}",
            lines[2].text
        );
    }

    #[test]
    fn a_gateway_that_runs_and_does_not_answer_fails() {
        let down = || Err(ControlError::Down("/data/control.sock".into()));
        let line = gateway(&down(), Some(7));
        assert_eq!(line.state, State::Fail);
        assert!(line.text.contains("pid 7") && line.text.contains("control.sock"));
        assert_eq!(gateway(&down(), None).state, State::Absent);
        assert_eq!(
            gateway(&Ok(status::tests::status()), Some(7)).state,
            State::Ok
        );
        let denied = Err(ControlError::Denied("/data/control.sock".into()));
        assert_eq!(gateway(&denied, None).state, State::Fail);
    }

    #[tokio::test]
    async fn what_the_running_gateway_cannot_serve_fails() {
        let mut status = status::tests::status();
        let mut part = status.parts.values().next().unwrap().clone();
        part.state = "down".into();
        part.reason = Some("the token cannot be read".into());
        status.parts.insert(part::INGEST.into(), part);
        let mut config = Config::default();
        config.ingest.listen = Some("127.0.0.1:0".parse().unwrap());
        let line = ingest(&config, Some(&status)).await;
        assert_eq!(
            (line.state, line.text.as_str()),
            (State::Fail, "the token cannot be read")
        );
        assert_eq!(ingest(&config, None).await.state, State::Ok);
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_fails_with_a_remedy() {
        broker::install_crypto();
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let mqtt = Mqtt {
            host: Some("127.0.0.1".into()),
            port: Some(free.port()),
            ..Mqtt::default()
        };
        let why = connect(&mqtt, &Config::default()).await.unwrap_err();
        assert!(why.contains(&free.to_string()), "{why}");
        let line = probe_broker(
            "uplink broker",
            Some(&Mqtt::default()),
            &Config::default(),
            "no host",
        )
        .await;
        assert_eq!(line.state, State::Absent);
    }
}
