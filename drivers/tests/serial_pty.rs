//! The serial tap on a real pseudo-terminal: what a printer's host writes is read, and a
//! pulled cable is told.
#![cfg(feature = "serial")]
#![allow(clippy::expect_used, reason = "a test's helpers may fail it")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use tillwatch_drivers::ErrorKind;
use tillwatch_drivers::printer::ByteTap;
use tillwatch_drivers::printer::serial::{SerialConfig, SerialTap};

fn pair() -> (File, PathBuf) {
    let master: PtyMaster =
        posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).expect("a pseudo-terminal");
    grantpt(&master).expect("grantpt");
    unlockpt(&master).expect("unlockpt");
    let path = ptsname_r(&master).expect("its name");
    let master: std::os::fd::OwnedFd = master.into();
    (File::from(master), PathBuf::from(path))
}

const DEADLINE: Duration = Duration::from_secs(10);

fn read(tap: &mut SerialTap, count: usize) -> Vec<u8> {
    let started = Instant::now();
    let mut bytes = Vec::new();
    let mut buf = [0; 64];
    while bytes.len() < count {
        assert!(started.elapsed() < DEADLINE, "only {bytes:02x?}");
        let read = tap
            .read(&mut buf, Duration::from_millis(100))
            .expect("the line is up");
        bytes.extend_from_slice(&buf[..read]);
    }
    bytes
}

/// Every byte value, so that nothing the terminal layer does to lines or signals is left on.
#[test]
fn all_bytes_pass_unchanged_at_any_speed() {
    let all: Vec<u8> = (0..=255).collect();
    for baud in [9600, 19_200, 38_400, 115_200] {
        let (mut host, path) = pair();
        let mut tap = SerialTap::open(&SerialConfig::new(&path).baud(baud)).expect("it opens");
        host.write_all(&all).expect("the host writes");
        assert_eq!(read(&mut tap, all.len()), all);
    }
}

#[test]
fn silence_is_no_bytes_after_the_timeout() {
    let (_host, path) = pair();
    let mut tap = SerialTap::open(&SerialConfig::new(path)).expect("it opens");
    let started = Instant::now();
    let timeout = Duration::from_millis(30);
    assert_eq!(tap.read(&mut [0; 8], timeout).expect("the line is up"), 0);
    assert!(started.elapsed() >= timeout);
}

#[test]
fn a_pulled_cable_asks_for_a_reopening_and_is_never_mistaken_for_silence() {
    let (mut host, path) = pair();
    let mut tap = SerialTap::open(&SerialConfig::new(path)).expect("it opens");
    host.write_all(b"TOTAL 9.99\n").expect("the host writes");
    assert_eq!(read(&mut tap, 11), b"TOTAL 9.99\n");
    drop(host);
    for _ in 0..2 {
        let error = tap
            .read(&mut [0; 8], Duration::from_secs(5))
            .expect_err("the line is down");
        assert_eq!(error.kind(), ErrorKind::Reopen, "{error}");
    }
}

#[test]
fn a_stable_name_is_followed_and_a_port_is_held_exclusively() {
    let (mut host, path) = pair();
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().join("usb-FTDI_FT232R_A12345-if00-port0");
    symlink(&path, &name).expect("a link");
    let config = SerialConfig::new(&name);
    let mut tap = SerialTap::open(&config).expect("it opens");
    let error = SerialTap::open(&config).expect_err("somebody has it");
    assert_eq!(error.kind(), ErrorKind::Reopen, "{error}");
    host.write_all(b"still mine").expect("the host writes");
    assert_eq!(read(&mut tap, 10), b"still mine");
    drop(tap);
    SerialTap::open(&config).expect("it is free again");
}

#[test]
fn what_is_no_port_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = SerialTap::open(&SerialConfig::new(folder.path().join("ttyUSB0")));
    assert_eq!(missing.expect_err("missing").kind(), ErrorKind::Reopen);
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("a file");
    for path in [file, PathBuf::from("/dev/null")] {
        let error = SerialTap::open(&SerialConfig::new(&path)).expect_err("no port");
        assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
    }
    let (_host, path) = pair();
    let slow = SerialTap::open(&SerialConfig::new(path).baud(7)).expect_err("no speed");
    assert_eq!(slow.kind(), ErrorKind::Fatal);
}
