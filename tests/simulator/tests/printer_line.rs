//! The pseudo terminal carries every byte as it is, and survives its readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use tillwatch_simulator::{PrinterPort, PrinterPty};

fn reader(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(path)
        .unwrap()
}

fn read_exactly(file: &mut File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut read = 0;
    while read < count {
        let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::from(10_000_u16);
        assert_eq!(poll(&mut ready, timeout), Ok(1), "after {read} bytes");
        read += file.read(&mut bytes[read..]).unwrap();
    }
    bytes
}

#[test]
fn every_byte_value_arrives_unchanged() {
    let mut pty = PrinterPty::open().unwrap();
    let mut reader = reader(pty.path());
    let all: Vec<u8> = (0..=255).collect();
    pty.send(&all).unwrap();
    assert_eq!(read_exactly(&mut reader, 256), all);
}

#[test]
fn a_reader_may_go_and_come_back() {
    let mut pty = PrinterPty::open().unwrap();
    let first = reader(pty.path());
    drop(first);
    let mut second = reader(pty.path());
    pty.send(b"\r\n\x03\x04\x11\x13").unwrap();
    assert_eq!(read_exactly(&mut second, 6), b"\r\n\x03\x04\x11\x13");
}

#[test]
fn a_long_job_goes_through_as_it_is_read() {
    let mut pty = PrinterPty::open().unwrap();
    let mut reader = reader(pty.path());
    let job: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = job.clone();
    let length = job.len();
    let reading = std::thread::spawn(move || read_exactly(&mut reader, length));
    // In pieces, so that a slow machine has its patience for each.
    for piece in job.chunks(2_000) {
        pty.send(piece).unwrap();
    }
    assert_eq!(pty.dropped(), 0);
    assert_eq!(reading.join().unwrap(), expected);
}

#[test]
fn what_nobody_reads_is_dropped_and_counted() {
    let mut pty = PrinterPty::open().unwrap();
    pty.send(&vec![b'x'; 300_000]).unwrap();
    assert!(pty.dropped() > 0);
    assert!(pty.dropped() < 300_000);
}

#[test]
fn a_port_keeps_its_name_when_replugged() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("printer");
    let mut port = PrinterPort::create(&link).unwrap();
    let mut before = reader(port.path());

    port.unplug().unwrap();
    assert!(!link.exists() && !link.is_symlink());
    let hangup = before.read(&mut [0; 8]);
    assert!(
        matches!(&hangup, Ok(0)) || hangup.is_err(),
        "the reader notices: {hangup:?}"
    );
    port.send(b"lost").unwrap();
    assert_eq!(port.dropped(), 4);

    port.plug().unwrap();
    let mut after = reader(port.path());
    port.send(b"here").unwrap();
    assert_eq!(read_exactly(&mut after, 4), b"here");
    drop(port);
    assert!(!link.is_symlink(), "nothing is left behind");
}

#[test]
fn a_port_does_not_replace_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(PrinterPort::create(file.path()).is_err());
    assert!(file.path().is_file());
}
