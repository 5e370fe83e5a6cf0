//! The program as a process, and its parts in this one.

use crate::broker::Mosquitto;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where data goes, and which program is measured.
pub struct Place {
    scratch: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Place {
    pub fn new(scratch: Option<PathBuf>, program: Option<PathBuf>) -> Result<Self> {
        if let Some(scratch) = &scratch {
            std::fs::create_dir_all(scratch)
                .with_context(|| format!("cannot make {}", scratch.display()))?;
        }
        Ok(Self { scratch, program })
    }

    /// A folder that goes away with the measurement.
    pub fn folder(&self) -> Result<TempDir> {
        let named = tempfile::Builder::new()
            .prefix("tillwatch-bench-")
            .to_owned();
        Ok(match &self.scratch {
            Some(scratch) => named.tempdir_in(scratch)?,
            None => named.tempdir()?,
        })
    }

    /// Tells another measuring process the same place.
    pub fn pass_on<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(scratch) = &self.scratch {
            command.arg("--scratch").arg(scratch);
        }
        command
    }

    /// The program: as told, else the one built beside this one.
    pub fn program(&self) -> Result<PathBuf> {
        let path = match &self.program {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tillwatch"),
        };
        ensure!(
            path.is_file(),
            "there is no program at {}; build it, or say --tillwatch",
            path.display()
        );
        Ok(path)
    }
}

/// Waits until `condition` gives something, looking every 5 ms.
pub fn wait_for<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for {what}"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The time that is part of a stimulus: till the next opening, till the next measurement. Nothing
/// is waited for here.
pub fn pause(time: Duration) {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::park_timeout(left);
    }
}

/// Folder and configuration of a register; its drawer is a FIFO.
pub struct Register {
    pub folder: TempDir,
    pub config: PathBuf,
}

impl Register {
    /// A register whose head office is `broker`; `more` is added at the top of the configuration,
    /// `sections` at its end.
    pub fn prepare(
        place: &Place,
        broker: Option<&Mosquitto>,
        more: &str,
        sections: &str,
    ) -> Result<Self> {
        let folder = place.folder()?;
        let drawer = folder.path().join("drawer");
        nix::unistd::mkfifo(
            &drawer,
            nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR,
        )?;
        let uplink = broker.map_or_else(String::new, |broker| {
            format!(
                "[uplink.mqtt]\nhost = \"127.0.0.1\"\nport = {}\n",
                broker.port
            )
        });
        let text = format!(
            "store_code = \"S03\"\nregister_id = \"reg_02\"\nopening_hours = \"00:00-23:59\"\ndata = \"{data}\"\n\
             {more}\n[web]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n{uplink}{sections}\n",
            data = folder.path().join("data").display(),
        );
        let config = folder.path().join("tillwatch.toml");
        std::fs::write(&config, text)?;
        Ok(Self { folder, config })
    }

    /// The lines that make the drawer's edges come from the FIFO.
    pub const FIFO: &'static str =
        "[drawer]\nbackend = \"fifo\"\nline = \"DRAWER\"\n[kick]\nline = \"with the drawer\"\n";

    /// Prepared with the drawer on the FIFO.
    pub fn with_drawer(place: &Place, broker: Option<&Mosquitto>) -> Result<Self> {
        let register = Self::prepare(place, broker, "", Self::FIFO)?;
        let text = std::fs::read_to_string(&register.config)?;
        let drawer = register.folder.path().join("drawer").display().to_string();
        std::fs::write(&register.config, text.replace("DRAWER", &drawer))?;
        Ok(register)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The writing end of the drawer's wires.
    pub fn drawer(&self) -> Result<File> {
        Ok(OpenOptions::new()
            .write(true)
            .open(self.folder.path().join("drawer"))?)
    }
}

/// A running gateway.
pub struct Gateway {
    child: Child,
    lines: Receiver<String>,
    /// From the call to the program's first line, which it writes when it is up.
    pub took: Duration,
    pid: Pid,
    /// Where it answers HTTP.
    address: String,
}

impl Gateway {
    /// Up when this returns. `before` is put before the program: `strace …`.
    pub fn start(place: &Place, config: &Path, before: &[String]) -> Result<Self> {
        let program = place.program()?;
        let mut command = match before {
            [] => Command::new(&program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&program);
                command
            }
        };
        for (name, _) in std::env::vars() {
            let ours =
                ["STORE_CODE", "REGISTER_ID", "DB_PATH", "NOTIFY_SOCKET"].contains(&name.as_str());
            if ours || name.starts_with("TILLWATCH_") || name.starts_with("MQTT_") {
                command.env_remove(name);
            }
        }
        command.args(["run", "--config"]).arg(config);
        let began = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().context("its output is piped")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let mut gateway = Self {
            child,
            lines,
            took: Duration::ZERO,
            pid,
            address: String::new(),
        };
        loop {
            let Ok(line) = gateway.lines.recv_timeout(Duration::from_secs(120)) else {
                bail!(
                    "the gateway does not come up: {:?}",
                    gateway.child.try_wait()?
                );
            };
            if let Some(told) = line.strip_prefix("API:") {
                gateway.took = began.elapsed();
                let url = told.split_whitespace().find(|word| word.contains("://"));
                let address = url.and_then(|url| url.split('/').nth(2));
                gateway.address = address.unwrap_or_default().to_owned();
                break;
            }
        }
        if !before.is_empty() {
            gateway.pid = only_child(gateway.pid)?;
        }
        Ok(gateway)
    }

    /// A figure that it shows at `/metrics`.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let mut stream = std::net::TcpStream::connect(&self.address)?;
        let host = &self.address;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let value = answer
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value
            .with_context(|| format!("no metric {name}"))?
            .parse()?)
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> Result<()> {
        kill(self.pid, Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// A line of `/proc/PID/status`, in its own unit (kB for memory).
    pub fn status(&self, field: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = line.and_then(|rest| rest.split_whitespace().next());
        value
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("no {field} in its status"))
    }

    /// Processor time used so far by the threads that there are.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            total += text
                .split_whitespace()
                .next()
                .and_then(|ns| ns.parse::<u64>().ok())
                .unwrap_or(0);
        }
        Ok(Duration::from_nanos(total))
    }

    /// Bytes that it had written to a disk so far.
    pub fn written_to_disk(&self) -> Result<u64> {
        crate::disk::written_by(&self.pid.to_string())
    }

    /// Bytes that it has read and written by calls so far (`rchar`, `wchar`).
    pub fn io(&self) -> Result<(u64, u64)> {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.pid))?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value
                .and_then(|value| value.trim().parse::<u64>().ok())
                .unwrap_or(0)
        };
        Ok((field("rchar:"), field("wchar:")))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may be gone already. Under strace the program goes first, and strace with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn only_child(parent: Pid) -> Result<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let first = text
        .split_whitespace()
        .next()
        .context("the traced program runs")?;
    Ok(Pid::from_raw(first.parse()?))
}
