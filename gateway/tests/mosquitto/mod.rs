//! A Mosquitto of the test's own: free port, temporary directory, gone with the value.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to listen, or to end.
const DEADLINE: Duration = Duration::from_secs(10);

/// A running, stopped or killed broker. Its sessions and retained messages are kept on disk, in
/// the way that Mosquitto does: written when it ends in good order.
pub struct Mosquitto {
    dir: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

#[allow(dead_code)]
impl Mosquitto {
    /// Starts one that lets everybody in. `extra` is added to its configuration; `{dir}` in it is
    /// the temporary directory.
    pub fn start(extra: &str) -> Self {
        Self::start_with(extra, |_| ())
    }

    /// The same; `prepare` may put files into the temporary directory first.
    pub fn start_with(extra: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let port = TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let here = dir.path().display().to_string();
        let mut config = std::fs::File::create(dir.path().join("mosquitto.conf")).unwrap();
        write!(
            config,
            "listener {port} 127.0.0.1\n\
             allow_anonymous true\n\
             user root\n\
             persistence true\n\
             persistence_location {here}/\n\
             max_queued_messages 0\n\
             log_type all\n\
             log_dest file {here}/mosquitto.log\n\
             {}\n",
            extra.replace("{dir}", &here)
        )
        .unwrap();
        let mut broker = Self {
            dir,
            port,
            child: None,
        };
        broker.resume();
        broker
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mosquitto_pub`, exactly as a shop's integrator would call it.
    pub fn publish(&self, topic: &str, body: &str) {
        let port = self.port.to_string();
        let done = Command::new("mosquitto_pub")
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-q",
                "1",
                "-t",
                topic,
                "-m",
                body,
            ])
            .status()
            .expect("mosquitto_pub must be installed: apt-get install mosquitto-clients");
        assert!(done.success());
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("mosquitto.log")).unwrap_or_default()
    }

    /// Starts it again after [`Mosquitto::stop`] or [`Mosquitto::kill`].
    pub fn resume(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let child = Command::new(program())
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto must be installed: apt-get install mosquitto");
        self.child = Some(child);
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(
                started.elapsed() < DEADLINE,
                "mosquitto does not listen:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it in good order: it writes its sessions to disk.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let asked = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(asked.elapsed() < DEADLINE, "mosquitto does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it like a power cut.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Debian installs the broker outside a user's path.
fn program() -> &'static str {
    let outside = "/usr/sbin/mosquitto";
    if Path::new(outside).exists() {
        outside
    } else {
        "mosquitto"
    }
}
