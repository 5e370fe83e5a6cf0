//! A Mosquitto of the test's own, on a port of its own, with its state in a folder of its own.

use super::{free_port, wait_for};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    child: Option<Child>,
    extra: String,
}

impl Mosquitto {
    /// Anonymous, on loopback, keeping sessions on disk.
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// With further lines of configuration (listener and persistence are set).
    pub fn with(extra: &str) -> Self {
        let mut broker = Self {
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            child: None,
            extra: extra.to_owned(),
        };
        broker.run();
        broker
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it (again) on the same port with the same state.
    pub fn run(&mut self) {
        let folder = self.folder.path().display().to_string();
        let port = self.port;
        let config = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n\
             max_queued_messages 0\nuser root\nlog_dest none\n{}",
            self.extra
        );
        let path = self.folder.path().join("mosquitto.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program())
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed (tests/run does it)");
        self.child = Some(child);
        wait_for("mosquitto to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    /// Ends it in order: it saves its sessions.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
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
            .expect("mosquitto_pub is installed (tests/run does it)");
        assert!(done.success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> PathBuf {
    let sbin = PathBuf::from("/usr/sbin/mosquitto");
    if sbin.exists() {
        sbin
    } else {
        PathBuf::from("mosquitto")
    }
}
