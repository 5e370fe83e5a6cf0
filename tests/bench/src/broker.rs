//! A Mosquitto of the measurement's own.

use crate::gateway::wait_for;
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    extra: String,
    child: Option<Child>,
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Mosquitto {
    /// Anonymous, on loopback, `TCP_NODELAY`, sessions kept, queues without limit; `extra` lines
    /// are added. Not started.
    pub fn prepare(extra: &str) -> Result<Self> {
        Ok(Self {
            port: free_port()?,
            folder: tempfile::tempdir()?,
            extra: extra.to_owned(),
            child: None,
        })
    }

    pub fn start(extra: &str) -> Result<Self> {
        let mut broker = Self::prepare(extra)?;
        broker.run()?;
        Ok(broker)
    }

    /// Starts it (again) on the same port with the same state; listening when this returns.
    pub fn run(&mut self) -> Result<()> {
        let folder = self.folder.path().display();
        let port = self.port;
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence true\n\
             persistence_location {folder}/\nmax_queued_messages 0\nuser root\nlog_dest none\n{}",
            self.extra
        );
        let path = self.folder.path().join("mosquitto.conf");
        std::fs::write(&path, config)?;
        let child = Command::new(program())
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("mosquitto is needed (Debian: mosquitto)")?;
        self.child = Some(child);
        wait_for(Duration::from_secs(20), "mosquitto to listen", || {
            Ok(TcpStream::connect(("127.0.0.1", port)).ok())
        })?;
        Ok(())
    }

    /// Ends it in order: it saves its sessions.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
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
