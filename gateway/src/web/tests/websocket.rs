//! The live feed by WebSocket, over real connections.

use super::*;
use crate::web::serve_http;
use std::net::SocketAddr;
use std::time::Duration;
use tillwatch_protocol::Notice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(10);
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

struct Served {
    gateway: Gateway,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Served {
    async fn new() -> Self {
        let gateway = Gateway::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve_http(listener, gateway.shared.clone(), stop.clone()));
        Self {
            gateway,
            address,
            stop,
            served,
        }
    }

    async fn open(&self, path: &str, more: &str) -> (Reader, String) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n",
            self.address
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, socket.read_u8());
            head.push(byte.await.unwrap().unwrap());
        }
        (Reader(socket), String::from_utf8(head).unwrap())
    }

    async fn reader(&self, path: &str) -> Reader {
        let (reader, head) = self.open(path, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The example of RFC 6455.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        reader
    }

    async fn happen(&self, text: &str) -> Seq {
        let shared = &self.gateway.shared;
        let notice = EventBody::Notice(Notice {
            code: "test".into(),
            text: text.into(),
            stamp: stamp(0),
        });
        let taken = shared.intake.bulk(shared.clock.stamp(), notice).await;
        match taken.unwrap().await.unwrap() {
            Taken::New(seq) => seq,
            other => panic!("{other:?}"),
        }
    }
}

/// A server's frames are whole and not masked.
struct Reader(TcpStream);

impl Reader {
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let read = async {
            let first = self.0.read_u8().await.ok()?;
            let length = match self.0.read_u8().await.ok()? {
                126 => usize::from(self.0.read_u16().await.ok()?),
                127 => usize::try_from(self.0.read_u64().await.ok()?).unwrap(),
                short => usize::from(short),
            };
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.ok()?;
            Some((first & 0x0f, body))
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap()
    }

    async fn item(&mut self) -> Value {
        loop {
            match self.frame().await.unwrap() {
                (TEXT, body) => return serde_json::from_slice(&body).unwrap(),
                (PING, _) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_program_gets_what_it_missed_and_then_what_happens() {
    let served = Served::new().await;
    let first = served.happen("paper is low").await;
    served.gateway.settle(first).await;
    let path = format!("/ws?after={}", first.0 - 1);
    let mut reader = served.reader(&path).await;
    let item = reader.item().await;
    assert_eq!(
        (&item["seq"], &item["kind"], &item["text"]),
        (&first.0.into(), &"notice".into(), &"paper is low".into())
    );
    let second = served.happen("paper is gone").await;
    assert_eq!(reader.item().await["seq"], second.0);

    served.stop.cancel();
    let last = loop {
        match reader.frame().await {
            Some((PING, _)) => {}
            other => break other.unwrap(),
        }
    };
    assert_eq!((last.0, &last.1[..2]), (CLOSE, &1001_u16.to_be_bytes()[..]));
    served.served.await.unwrap();
}

#[tokio::test]
async fn a_page_of_another_site_reads_nothing() {
    let served = Served::new().await;
    for foreign in ["http://evil.example", "null"] {
        let (_, head) = served.open("/ws", &format!("Origin: {foreign}\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{foreign}: {head}");
    }
    let ours = format!("Origin: http://{}\r\n", served.address);
    let (_, head) = served.open("/ws", &ours).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    served.stop.cancel();
    served.served.await.unwrap();
}

#[tokio::test]
async fn readers_of_both_kinds_share_their_places() {
    let served = Served::new().await;
    let mut readers = Vec::new();
    for _ in 0..crate::web::LIVE_READERS {
        readers.push(served.reader("/ws").await);
    }
    let (_, head) = served.open("/ws", "").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    drop(readers);
    let freed = async {
        while !served.open("/ws", "").await.1.contains(" 101 ") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.unwrap();
    served.stop.cancel();
    served.served.await.unwrap();
}

#[tokio::test]
async fn whoever_asks_without_an_upgrade_is_told_what_is_here() {
    let gateway = Gateway::new();
    let answer = get(gateway.page(), "/ws").await;
    assert_eq!(answer.problem(426), "request");
}
