//! The real program, configured by a file, with its wires in a temporary folder.

use super::{wait_for, wait_for_within};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tillwatch_simulator::PrinterPort;

pub struct Gateway {
    folder: TempDir,
    pub printer: PrinterPort,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    output: Arc<Mutex<Vec<String>>>,
    web: String,
}

/// A command of the program without the test's surroundings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tillwatch"));
    for (name, _) in std::env::vars() {
        if name.starts_with("TILLWATCH_") || name.starts_with("MQTT_") {
            command.env_remove(name);
        }
    }
    for name in [
        "STORE_CODE",
        "REGISTER_ID",
        "DB_PATH",
        "NOTIFY_SOCKET",
        "HIGH_VALUE_THRESHOLD",
        "DISCOUNT_THRESHOLD",
        "CORRELATION_WINDOW",
    ] {
        command.env_remove(name);
    }
    command
}

impl Gateway {
    /// A register with drawer, kick line, printer and POS, not started. `more` is added to its
    /// configuration.
    pub fn prepare(broker_port: u16, more: &str) -> Self {
        Self::prepare_between(broker_port, broker_port, more)
    }

    /// The same; the shop and head office have a broker each.
    pub fn prepare_between(shop_port: u16, head_office_port: u16, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let printer = PrinterPort::create(&folder.path().join("printer")).unwrap();
        let mode = nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR;
        nix::unistd::mkfifo(&folder.path().join("drawer"), mode).unwrap();
        let config = format!(
            r#"
store_code = "S03"
register_id = "reg_02"
opening_hours = "00:00-23:59"
data = "{data}"
{more}
[pos]
enabled = true
store_aliases = ["store_001"]
[pos.mqtt]
host = "127.0.0.1"
port = {shop_port}
[uplink.mqtt]
host = "127.0.0.1"
port = {head_office_port}
[drawer]
backend = "fifo"
line = "{drawer}"
[kick]
line = "with the drawer"
[printer]
port = "{port}"
idle_ms = 1000
[web]
listen = "127.0.0.1:0"
"#,
            data = path("data"),
            drawer = path("drawer"),
            port = path("printer"),
        );
        std::fs::write(folder.path().join("tillwatch.toml"), config).unwrap();
        Self {
            folder,
            printer,
            environment: Vec::new(),
            child: None,
            output: Arc::default(),
            web: String::new(),
        }
    }

    /// Prepared, started and ready.
    pub fn start(broker_port: u16) -> Self {
        let mut gateway = Self::prepare(broker_port, "");
        gateway.run();
        gateway.ready();
        gateway
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("tillwatch.toml")
    }

    /// An environment variable for the next start.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(n, _)| n != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset_env(&mut self, name: &str) {
        self.environment.retain(|(n, _)| n != name);
    }

    /// Starts the process; does not wait for anything.
    pub fn run(&mut self) {
        let mut command = program();
        command.args(["run", "--config"]).arg(self.config_file());
        command.envs(self.environment.iter().map(|(n, v)| (n, v)));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.output.lock().unwrap().clear();
        collect(
            BufReader::new(child.stdout.take().unwrap()),
            self.output.clone(),
        );
        collect(
            BufReader::new(child.stderr.take().unwrap()),
            self.output.clone(),
        );
        self.child = Some(child);
    }

    /// Waits until it serves and every witness is there.
    pub fn ready(&mut self) {
        self.listening();
        wait_for("readiness", || match self.get("/readyz") {
            Ok((200, _)) => Some(()),
            other => {
                self.must_live(&format!("{other:?}"));
                None
            }
        });
    }

    /// Waits until the page's address is known.
    pub fn listening(&mut self) {
        self.web = wait_for("the address of the API", || {
            let address = self.try_address();
            if address.is_none() {
                self.must_live("no address yet");
            }
            address
        });
    }

    fn must_live(&mut self, state: &str) {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait().unwrap()
        {
            panic!(
                "the gateway ended ({status}) at {state}:\n{}",
                self.output()
            );
        }
    }

    pub fn output(&self) -> String {
        self.output.lock().unwrap().join("\n")
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().unwrap().id()).unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.web)
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> Result<(u16, String), String> {
        let mut response = agent()
            .get(self.url(path))
            .call()
            .map_err(|why| why.to_string())?;
        let body = response
            .body_mut()
            .read_to_string()
            .map_err(|why| why.to_string())?;
        Ok((response.status().as_u16(), body))
    }

    /// Status and bytes of a GET, with a header.
    pub fn bytes(&self, path: &str, header: (&str, &str)) -> (u16, Vec<u8>) {
        let request = agent().get(self.url(path)).header(header.0, header.1);
        let mut response = request.call().unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        (response.status().as_u16(), body)
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Status and body of a POST of JSON.
    pub fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = agent()
            .post(self.url(path))
            .header("content-type", "application/json");
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").unwrap();
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([' ', '{']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// One edge of the drawer's wires: `sense high`, `kick low`.
    pub fn edge(&self, edge: &str) {
        let mut fifo = OpenOptions::new()
            .write(true)
            .open(self.folder.path().join("drawer"))
            .unwrap();
        writeln!(fifo, "{edge}").unwrap();
    }

    /// A kick of 100 ms, as a printer gives it.
    pub fn kick(&self) {
        self.edge("kick high");
        // The pulse itself: its length is the stimulus, nobody waits for anything here.
        std::thread::park_timeout(Duration::from_millis(100));
        self.edge("kick low");
    }

    /// A command of the program against this register.
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, "")
    }

    /// The same with something on its standard input.
    pub fn command_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = program();
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config_file());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever does not read it may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// How it ended, if it did.
    pub fn try_ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(ended)
    }

    /// The page's address, once it is known.
    pub fn try_address(&self) -> Option<String> {
        let lines = self.output.lock().unwrap();
        let line = lines.iter().find(|line| line.starts_with("API:"))?;
        let url = line.split_whitespace().nth(1)?;
        Some(url.trim_end_matches("/api/status").to_owned())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.ended(Duration::from_secs(40))
    }

    /// Waits for the end.
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        wait_for_within(limit, "the gateway to end", || child.try_wait().unwrap())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- output of the gateway ---\n{}", self.output());
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into()
}

fn collect(reader: impl BufRead + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
}

/// Real receipts beside the checkout, where they are present.
pub fn recorded_receipts() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/receipts");
    let folder = std::env::var_os("TILLWATCH_TEST_DATA")
        .map_or(beside, |data| PathBuf::from(data).join("receipts"));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no recorded receipts in {}", folder.display());
    None
}
