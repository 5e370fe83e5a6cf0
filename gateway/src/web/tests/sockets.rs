//! Real listeners.

use super::*;
use crate::console::control::{Control, ControlError};
use crate::console::state_file;
use crate::health::{PartState, part};
use crate::web::status::Status;
use crate::web::{serve_control, serve_http, serve_ingest};
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Socket {
    path: PathBuf,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Gateway {
    fn socket(&self) -> Socket {
        let (path, stop) = (
            self.folder.path().join("control.sock"),
            CancellationToken::new(),
        );
        let (at, shared, until) = (path.clone(), self.shared.clone(), stop.clone());
        let served = tokio::spawn(async move { serve_control(&at, shared, until, AGAIN).await });
        Socket { path, stop, served }
    }
}

/// How soon what stands in the way is looked at again.
const AGAIN: Duration = Duration::from_millis(20);

/// Waits until a part is down with a reason that has `words` in it.
async fn down(gateway: &Gateway, name: &str, words: &str) {
    let is_down =
        |state: &PartState| matches!(state, PartState::Down { reason } if reason.contains(words));
    part_is(gateway, name, is_down).await;
    gateway
        .shared
        .health
        .accepting
        .store(true, Ordering::Release);
    let answer = get(gateway.page(), "/readyz").await;
    assert_eq!(answer.problem(503), "not-ready");
    assert!(
        answer.json()["missing"][name].is_string(),
        "{}",
        answer.text
    );
}

async fn part_is(gateway: &Gateway, name: &str, is: impl Fn(&PartState) -> bool) {
    let waited = async {
        loop {
            let parts = gateway.shared.health.parts();
            if parts.get(name).is_some_and(|part| is(&part.state)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), waited).await;
    waited.unwrap_or_else(|_| panic!("{name}: {:?}", gateway.shared.health.parts()));
}

/// Asks until somebody answers.
async fn answering(control: &Control) -> Status {
    let asked = async {
        loop {
            match control.get("/api/status").await {
                Ok(status) => return status,
                Err(ControlError::Down(_)) => tokio::task::yield_now().await,
                Err(why) => panic!("{why}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .unwrap()
}

#[tokio::test]
async fn commands_reach_the_gateway_over_its_socket() {
    let gateway = Gateway::new();
    gateway
        .append(&[Record::Alert(alert(Seq(1), 0, 700))])
        .await;
    let socket = gateway.socket();
    let control = Control::of_data(gateway.folder.path());
    let status = answering(&control).await;
    assert_eq!(status.register_id, "reg_02");
    let mode = std::fs::metadata(&socket.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);

    let pending: Vec<Value> = control.get("/api/alerts/pending").await.unwrap();
    let id = pending[0]["alert_id"].as_str().unwrap();
    let body = json!({"verdict": "confirmed", "note": "seen"});
    let judged: Value = control
        .post(&format!("/api/alerts/{id}/review"), &body)
        .await
        .unwrap();
    // The kernel says who asks: whoever runs this test.
    let own = crate::web::peer::Own::here();
    let name = crate::web::peer::Peer {
        uid: own.uid,
        gid: own.gid,
        groups: vec![],
    }
    .name();
    assert_eq!(judged["review"]["reviewer"], name);
    let refused = control
        .get::<Value>("/api/events/recent?limit=0")
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, ControlError::Refused(problem) if problem.status == 400),
        "{refused}"
    );

    socket.stop.cancel();
    socket.served.await.unwrap();
    assert!(!socket.path.exists(), "it is removed at the end");
    assert!(matches!(
        control.get::<Value>("/api/status").await,
        Err(ControlError::Down(_))
    ));
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_one_in_use_is_not() {
    let gateway = Gateway::new();
    let path = gateway.folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a closed listener leaves its socket");
    let socket = gateway.socket();
    answering(&Control::at(&path)).await;

    let second = Gateway::new();
    let (at, shared, stop) = (
        path.clone(),
        second.shared.clone(),
        CancellationToken::new(),
    );
    let until = stop.clone();
    let waiting = tokio::spawn(async move { serve_control(&at, shared, until, AGAIN).await });
    down(&second, part::CONTROL, "another daemon answers").await;
    answering(&Control::at(&path)).await;
    socket.stop.cancel();
    socket.served.await.unwrap();
    part_is(&second, part::CONTROL, |state| *state == PartState::Up).await;
    answering(&Control::at(&path)).await;
    stop.cancel();
    waiting.await.unwrap();

    std::fs::write(&path, "mine").unwrap();
    let third = gateway.socket();
    down(&gateway, part::CONTROL, "is no socket").await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_file(&path).unwrap();
    part_is(&gateway, part::CONTROL, |state| *state == PartState::Up).await;
    third.stop.cancel();
    third.served.await.unwrap();
}

#[tokio::test]
async fn the_end_of_the_program_ends_the_live_feed() {
    let gateway = Gateway::new();
    let socket = gateway.socket();
    let control = Control::at(&socket.path);
    answering(&control).await;
    let mut feed = control.stream("/api/live").await.unwrap();
    socket.stop.cancel();
    let ended = async { while let Some(Ok(_)) = feed.frame().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(5), socket.served)
        .await
        .unwrap()
        .unwrap();
}

async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn page_and_api_stay_on_loopback() {
    let gateway = Gateway::new();
    let stop = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(serve_http(listener, gateway.shared.clone(), stop.clone()));
    let answer = raw(
        address,
        &format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = raw(
        address,
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    stop.cancel();
    served.await.unwrap();

    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    // Returns at once instead of serving.
    tokio::time::timeout(
        Duration::from_secs(5),
        serve_http(everywhere, gateway.shared.clone(), CancellationToken::new()),
    )
    .await
    .unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let stop = CancellationToken::new();
    let (shared, until) = (gateway.shared.clone(), stop.clone());
    let served = tokio::spawn(serve_ingest(everywhere, None, shared, until, AGAIN));
    down(&gateway, part::INGEST, "set ingest.token_file").await;
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn tills_post_over_the_network_with_the_token_of_the_file() {
    let gateway = Gateway::new();
    let stop = CancellationToken::new();
    let token = gateway.folder.path().join("token");
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(serve_ingest(
        listener,
        Some(token.clone()),
        gateway.shared.clone(),
        stop.clone(),
        AGAIN,
    ));
    down(&gateway, part::INGEST, "token").await;
    // Somebody puts it there.
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    part_is(&gateway, part::INGEST, |state| *state == PartState::Up).await;
    let body = r#"{"event_id":"1","event_type":"void_transaction"}"#;
    let request = format!(
        "POST /api/pos-events HTTP/1.1\r\nHost: till-gateway\r\nAuthorization: Bearer 0123456789abcdef\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = raw(([127, 0, 0, 1], port).into(), &request).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"accepted\":1"),
        "{answer}"
    );
    stop.cancel();
    served.await.unwrap();
}

#[tokio::test]
async fn the_last_state_is_what_the_api_said() {
    let gateway = Gateway::new();
    let data = gateway.folder.path();
    state_file::write(data, &gateway.shared).unwrap();
    let last = state_file::read(data).unwrap().unwrap();
    let now: Status =
        serde_json::from_value(get(gateway.page(), "/api/status").await.json()).unwrap();
    assert_eq!(
        (&last.register_id, &last.log.id, last.pid),
        (&now.register_id, &now.log.id, now.pid)
    );
    let names: Vec<_> = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        names.iter().all(|name| name != "state.json.new"),
        "nothing half-made stays"
    );
}
