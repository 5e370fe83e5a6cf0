//! A bare MQTT 3.1.1 client on a socket with `TCP_NODELAY`: as little as possible between a packet
//! and its time of arrival.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tillwatch::clock::monotonic_ns;

const PATIENCE: Duration = Duration::from_secs(30);

/// One publish as it came.
#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    /// When its last byte was read, `CLOCK_MONOTONIC`.
    pub at_ns: u64,
}

/// Connects; the second value says whether the broker remembered a session.
fn connect(port: u16, client_id: &str, clean: bool) -> Result<(TcpStream, bool)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut body = Vec::new();
    put_text(&mut body, "MQTT")?;
    // No keep-alive: loopback, and measured for minutes at most.
    body.extend([4, if clean { 2 } else { 0 }, 0, 0]);
    put_text(&mut body, client_id)?;
    socket.write_all(&packet(0x10, &body))?;
    let mut answer = [0; 4];
    socket.read_exact(&mut answer)?;
    ensure!(
        answer[0] == 0x20 && answer[3] == 0,
        "the broker refuses the connection: {answer:?}"
    );
    Ok((socket, answer[2] == 1))
}

fn put_text(into: &mut Vec<u8>, text: &str) -> Result<()> {
    into.extend(u16::try_from(text.len())?.to_be_bytes());
    into.extend(text.as_bytes());
    Ok(())
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        let byte = (left % 128) as u8;
        left /= 128;
        packet.push(if left > 0 { byte | 0x80 } else { byte });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn read_packet(from: &mut impl Read) -> Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    let kind = byte[0];
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        from.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((kind, body))
}

/// A subscriber with a thread that only reads.
pub struct Subscriber {
    messages: Receiver<Message>,
    socket: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Subscriber {
    /// Subscribed when this returns. `session`: the broker keeps messages for it while it is away.
    pub fn start(port: u16, filter: &str, qos: u8, session: Option<&str>) -> Result<Self> {
        let (mut socket, _) = connect(
            port,
            session.unwrap_or("bench-subscriber"),
            session.is_none(),
        )?;
        let mut body = vec![0, 1];
        put_text(&mut body, filter)?;
        body.push(qos);
        socket.write_all(&packet(0x82, &body))?;
        // With a session, messages may come before the SUBACK.
        let (sender, messages) = channel();
        let mut reader = BufReader::with_capacity(1 << 16, socket.try_clone()?);
        loop {
            let (kind, body) = read_packet(&mut reader)?;
            if kind == 0x90 {
                ensure!(
                    body.get(2).is_some_and(|code| *code < 0x80),
                    "the broker refuses the subscription"
                );
                break;
            }
            take(kind, &body, &mut socket, &sender)?;
        }
        socket.set_read_timeout(None)?;
        let mut writer = socket.try_clone()?;
        let thread = std::thread::spawn(move || {
            while let Ok((kind, body)) = read_packet(&mut reader) {
                if take(kind, &body, &mut writer, &sender).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            messages,
            socket,
            thread: Some(thread),
        })
    }

    /// The next message.
    pub fn next(&self, patience: Duration) -> Result<Message> {
        match self.messages.recv_timeout(patience) {
            Ok(message) => Ok(message),
            Err(RecvTimeoutError::Timeout) => bail!("no message came within {patience:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the broker closed the subscriber's connection")
            }
        }
    }

    /// The next message that `is` accepts; others are dropped.
    pub fn wait_for(&self, what: &str, mut is: impl FnMut(&Message) -> bool) -> Result<Message> {
        loop {
            let message = self
                .next(PATIENCE)
                .with_context(|| format!("waiting for {what}"))?;
            if is(&message) {
                return Ok(message);
            }
        }
    }
}

fn take(kind: u8, body: &[u8], writer: &mut TcpStream, sender: &Sender<Message>) -> Result<()> {
    if kind >> 4 != 3 {
        return Ok(());
    }
    let at_ns = monotonic_ns();
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8(body[2..2 + length].to_vec())?;
    let mut start = 2 + length;
    if (kind >> 1) & 3 > 0 {
        writer.write_all(&packet(0x40, &body[start..start + 2]))?;
        start += 2;
    }
    sender.send(Message {
        topic,
        payload: body[start..].to_vec(),
        at_ns,
    })?;
    Ok(())
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // The thread ends when its socket does.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A publisher of QoS 1.
pub struct Publisher {
    socket: TcpStream,
    next_id: u16,
}

impl Publisher {
    pub fn connect(port: u16) -> Result<Self> {
        let (socket, _) = connect(port, "bench-publisher", true)?;
        Ok(Self { socket, next_id: 1 })
    }

    /// Sends; the answer is left to [`Self::acknowledged`].
    pub fn send(&mut self, topic: &str, payload: &[u8]) -> Result<()> {
        let mut body = Vec::with_capacity(payload.len() + topic.len() + 4);
        put_text(&mut body, topic)?;
        body.extend(self.next_id.to_be_bytes());
        body.extend(payload);
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.socket.write_all(&packet(0x32, &body))?;
        Ok(())
    }

    /// Waits for one PUBACK.
    pub fn acknowledged(&mut self) -> Result<()> {
        let (kind, _) = read_packet(&mut self.socket)?;
        ensure!(kind == 0x40, "not a PUBACK: {kind:#x}");
        Ok(())
    }
}

/// Makes the broker remember a subscription, and leaves.
pub fn leave_session(port: u16, filter: &str, session: &str) -> Result<()> {
    drop(Subscriber::start(port, filter, 1, Some(session))?);
    Ok(())
}
