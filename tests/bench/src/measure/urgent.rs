//! An alert while a backlog drains over a line of 256 kbit/s, limiter off: the program in this
//! process, a real Mosquitto, and between them a proxy that carries so many bytes a second each way.

use crate::broker::Mosquitto;
use crate::figures::{Report, Samples, count};
use crate::gateway::{Place, Register, pause, wait_for};
use crate::inside::Inside;
use crate::measure::drain;
use crate::mqtt::Subscriber;
use anyhow::{Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Options {
    /// Alerts on the idle line, and as many during the drain.
    #[arg(long, default_value_t = 60)]
    samples: u32,
    /// Messages that wait.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// The line, in kbit/s.
    #[arg(long, default_value_t = 256)]
    kbit: u32,
}

const BETWEEN: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(60);

pub fn run(options: &Options, place: &Place, report: &mut Report) -> Result<()> {
    let broker = Mosquitto::start("")?;
    let subscriber = Subscriber::start(broker.port, "stores/#", 0, None)?;
    let line = Line::start(broker.port, options.kbit)?;
    let config = |register: &Register| -> Result<()> {
        let text = std::fs::read_to_string(&register.config)?;
        let (direct, slow) = (
            format!("port = {}", broker.port),
            format!("port = {}", line.port),
        );
        Ok(std::fs::write(
            &register.config,
            text.replace(&direct, &slow),
        )?)
    };

    let register = Register::prepare(
        place,
        Some(&broker),
        "",
        "[uplink]\nbacklog_per_second = 0\n",
    )?;
    config(&register)?;
    let inside = Inside::start(&register)?;
    let mut idle = Samples::default();
    for _ in 0..options.samples {
        wait_for(PATIENCE, "everything to be sent", || {
            Ok((inside.shared.store.outbox().depth() == [0; 3]).then_some(()))
        })?;
        idle.push_ms(inside.open_drawer(&subscriber)?);
        inside.close_drawer()?;
        pause(BETWEEN);
    }
    inside.stop()?;

    let register = Register::prepare(
        place,
        Some(&broker),
        "",
        "[uplink]\nbacklog_per_second = 0\n",
    )?;
    config(&register)?;
    drain::fill(&register.data(), options.messages)?;
    let inside = Inside::start(&register)?;
    let before = inside.shared.store.outbox().depth()[2];
    let began = Instant::now();
    let mut busy = Samples::default();
    for _ in 0..options.samples {
        busy.push_ms(inside.open_drawer(&subscriber)?);
        inside.close_drawer()?;
        pause(BETWEEN);
    }
    let drained = before - inside.shared.store.outbox().depth()[2];
    let rate = count(drained) / began.elapsed().as_secs_f64();
    ensure!(
        inside.shared.store.outbox().depth()[2] > 0,
        "the backlog was gone before the measurement ended"
    );
    // What is left would take minutes, and is not waited for.
    inside.stop()?;
    report.note(&format!(
        "{} alerts each, a line of {} kbit/s",
        options.samples, options.kbit
    ));
    report.spread("idle line: edge to packet", &idle, "ms");
    report.spread("during the drain: edge to packet", &busy, "ms");
    report.figure("the drain meanwhile", rate, "messages/s");
    report.at_most(
        "beyond twice the idle p99, p99",
        busy.p99() - 2.0 * idle.p99(),
        250.0,
        "ms",
    );
    Ok(())
}

/// A line of limited speed in front of a port of loopback.
struct Line {
    port: u16,
}

/// Bytes that travel together; small, so that two packets share the line fairly.
const CELL: usize = 512;
/// What the line's ends buffer; a modem's queue is of this order.
const BUFFER: usize = 4_096;

impl Line {
    fn start(to: u16, kbit: u32) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        setsockopt(&listener, sockopt::RcvBuf, &BUFFER)?;
        let port = listener.local_addr()?.port();
        let per_second = f64::from(kbit) * 1_000.0 / 8.0;
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let ends = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
                for (from, into) in ends {
                    let (Ok(from), Ok(into)) = (from, into) else {
                        continue;
                    };
                    std::thread::spawn(move || carry(from, into, per_second));
                }
            }
        });
        Ok(Self { port })
    }
}

/// Each cell takes its time on the line before it arrives.
fn carry(mut from: TcpStream, mut into: TcpStream, per_second: f64) {
    let _ = into.set_nodelay(true);
    let mut cell = [0; CELL];
    while let Ok(length @ 1..) = from.read(&mut cell) {
        pause(Duration::from_secs_f64(count(length) / per_second));
        if into.write_all(&cell[..length]).is_err() {
            break;
        }
    }
    let _ = into.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
