//! A broker in the test's own process that answers as a script says. Speaks as much MQTT 5 as a
//! publishing client needs.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A publish as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of which connection, from 1.
    pub connection: usize,
    /// How many of QoS 1 came before it on that connection.
    pub ordinal: usize,
    pub topic: String,
    pub qos: u8,
    pub pkid: u16,
    pub payload: Vec<u8>,
}

impl Seen {
    /// A field of the payload that is a number.
    pub fn number(&self, field: &str) -> Option<u64> {
        serde_json::from_slice::<serde_json::Value>(&self.payload).ok()?[field].as_u64()
    }

    /// Lane and number of an outbox entry.
    pub fn place(&self) -> Option<(u64, u64)> {
        Some((self.number("lane")?, self.number("seq")?))
    }
}

/// What the script answers to a publish of QoS 1.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes; none is silence.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed.
    Close(Vec<u8>),
    /// Reads nothing from now on.
    Deaf,
}

/// A PUBACK.
pub fn puback(pkid: u16, reason: u8) -> Vec<u8> {
    let [high, low] = pkid.to_be_bytes();
    match reason {
        0 => vec![0x40, 2, high, low],
        reason => vec![0x40, 4, high, low, reason, 0],
    }
}

/// Success.
pub fn ok(seen: &Seen) -> Reply {
    Reply::Bytes(puback(seen.pkid, 0))
}

type Script = Arc<Mutex<dyn FnMut(&Seen) -> Reply + Send>>;

/// The broker; gone with the value.
pub struct FakeBroker {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

#[allow(dead_code)]
impl FakeBroker {
    /// Listens on a free port. `connack` are the properties of its CONNACK.
    pub async fn start(
        connack: &'static [u8],
        script: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Script = Arc::new(Mutex::new(script));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                let mut connections = tokio::task::JoinSet::new();
                for connection in 1.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (seen, script) = (seen.clone(), script.clone());
                    connections.spawn(async move {
                        // Err: the client closed, which is its right.
                        let _ = serve(stream, connection, connack, &seen, &script).await;
                    });
                }
            }
        });
        Self { port, seen, task }
    }

    /// Every publish so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Connections that published.
    pub fn connections(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.connection).max().unwrap_or(0)
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    connack: &[u8],
    seen: &Mutex<Vec<Seen>>,
    script: &Script,
) -> std::io::Result<()> {
    let (_, _) = packet(&mut stream).await?;
    let length = u8::try_from(connack.len()).unwrap();
    let mut answer = vec![0x20, 3 + length, 0, 0, length];
    answer.extend_from_slice(connack);
    stream.write_all(&answer).await?;
    let mut ordinal = 0;
    loop {
        let (header, body) = packet(&mut stream).await?;
        match header >> 4 {
            3 => {
                let mut publish = publish(header, &body);
                publish.connection = connection;
                publish.ordinal = ordinal;
                let reply = (publish.qos > 0).then(|| (script.lock().unwrap())(&publish));
                ordinal += usize::from(publish.qos > 0);
                seen.lock().unwrap().push(publish);
                match reply {
                    None => {}
                    Some(Reply::Bytes(bytes)) => stream.write_all(&bytes).await?,
                    Some(Reply::Close(bytes)) => {
                        stream.write_all(&bytes).await?;
                        return stream.shutdown().await;
                    }
                    Some(Reply::Deaf) => std::future::pending().await,
                }
            }
            12 => stream.write_all(&[0xD0, 0]).await?,
            14 => return Ok(()),
            other => panic!("a publishing client sent a packet of type {other}"),
        }
    }
}

async fn packet(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let header = stream.read_u8().await?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((header, body))
}

fn publish(header: u8, body: &[u8]) -> Seen {
    let qos = (header >> 1) & 3;
    let topic_length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let (topic, mut rest) = body[2..].split_at(topic_length);
    let mut pkid = 0;
    if qos > 0 {
        pkid = u16::from_be_bytes([rest[0], rest[1]]);
        rest = &rest[2..];
    }
    let mut properties = 0;
    for shift in [0, 7, 14, 21] {
        let byte = rest[0];
        rest = &rest[1..];
        properties |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Seen {
        connection: 0,
        ordinal: 0,
        topic: String::from_utf8(topic.to_vec()).unwrap(),
        qos,
        pkid,
        payload: rest[properties..].to_vec(),
    }
}
