//! Page and API beyond loopback: encrypted, and for whoever logged in.

use super::*;
use crate::config::WebTls;
use crate::health::{PartState, part};
use crate::web::serve::{Address, Encrypted};
use crate::web::serve_https;
use crate::web::tls::Certificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(10);

/// A request of another machine.
async fn from(
    gateway: &Gateway,
    peer: &str,
    method: &str,
    uri: &str,
    more: (&str, &str),
) -> Answer {
    let request = Request::builder().method(method).uri(uri);
    let request = request
        .header(header::HOST, "till-3.lan:8443")
        .header(header::CONTENT_TYPE, "application/json");
    let (cookie, body) = more;
    let request = request.header(header::COOKIE, cookie);
    let mut request = request.body(Body::from(body.to_owned())).unwrap();
    let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
    request.extensions_mut().insert(Address::Tcp(peer));
    request
        .extensions_mut()
        .insert(Encrypted { vouched: false });
    let access = Access::Network(HostNames::default());
    send(router(gateway.shared.clone(), access), request).await
}

#[tokio::test]
async fn another_machine_sets_up_with_the_code_logs_in_and_is_then_let_in() {
    let gateway = Gateway::new();
    let afar = "192.0.2.9";
    for uri in ["/api/status", "/api/events", "/metrics"] {
        let answer = from(&gateway, afar, "GET", uri, ("", "")).await;
        assert_eq!(answer.problem(401), "login", "{uri}");
    }
    let page = from(&gateway, afar, "GET", "/", ("", "")).await;
    assert_eq!(page.status, StatusCode::OK);
    let session = from(&gateway, afar, "GET", "/api/session", ("", ""))
        .await
        .json();
    assert_eq!(
        (&session["login"], &session["code_needed"]),
        (&"setup".into(), &true.into())
    );

    let mut body = json!({"name": "ann", "password": "korrekt horse"});
    let refused = from(
        &gateway,
        afar,
        "POST",
        "/api/setup",
        ("", &body.to_string()),
    )
    .await;
    assert_eq!(refused.problem(403), "code");
    body["code"] = gateway.shared.logins.code().unwrap().into();
    let done = from(
        &gateway,
        afar,
        "POST",
        "/api/setup",
        ("", &body.to_string()),
    )
    .await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.text);
    let cookie = done.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let status = from(&gateway, afar, "GET", "/api/status", (cookie, "")).await;
    assert_eq!(status.status, StatusCode::OK);
}

#[tokio::test]
async fn this_machine_is_this_machine_on_that_listener_too() {
    let gateway = Gateway::new();
    for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        // Its own name only: another one was bent to it.
        let answer = from(&gateway, here, "GET", "/api/status", ("", "")).await;
        assert_eq!(answer.problem(403), "host", "{here}");
    }
    let answer = from(&gateway, "::ffff:192.0.2.9", "GET", "/api/status", ("", "")).await;
    assert_eq!(answer.problem(401), "login");
}

struct Served {
    gateway: Gateway,
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Served {
    async fn new(own: bool) -> Self {
        let gateway = Gateway::new();
        let data = gateway.folder.path();
        let address = IpAddr::from([127, 0, 0, 1]);
        let now_us = gateway.shared.clock.stamp().utc_us;
        let mut tls = WebTls::default();
        let mut certificate = Certificate::open(&tls, data, address, now_us).unwrap();
        if !own {
            tls.cert_file = Some(data.join("access/tls-cert.pem"));
            tls.key_file = Some(data.join("access/tls-key.pem"));
            certificate = Certificate::open(&tls, data, address, now_us).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (shared, until) = (gateway.shared.clone(), stop.clone());
        let served = tokio::spawn(async move {
            serve_https(listener, certificate, shared, until)
                .await
                .unwrap();
        });
        Self {
            gateway,
            address,
            stop,
            served,
        }
    }

    /// The certificate on disk, as whoever compared the fingerprint trusts it.
    fn trusted(&self) -> CertificateDer<'static> {
        let file = self.gateway.folder.path().join("access/tls-cert.pem");
        CertificateDer::from_pem_file(file).unwrap()
    }

    async fn ask(&self, trusted: CertificateDer<'static>) -> std::io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let mut socket = connector.connect(name, socket).await?;
        let request = "GET /api/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, socket.read_to_string(&mut answer))
            .await
            .unwrap()?;
        Ok(answer)
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.served)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_that_knows_the_certificate_gets_answers_and_one_that_does_not_gets_none() {
    let served = Served::new(true).await;
    let answer = served.ask(served.trusted()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "{answer}");
    let stranger = Served::new(true).await;
    assert!(served.ask(stranger.trusted()).await.is_err());

    let parts = served.gateway.shared.health.parts();
    let web = &parts[part::WEB];
    assert_eq!(web.state, PartState::Up);
    assert!(
        web.what.contains("own certificate ") && web.what.contains(", ends 2"),
        "{}",
        web.what
    );
    stranger.end().await;
    served.end().await;
}

#[tokio::test]
async fn browsers_insist_on_encryption_where_somebody_vouches_for_the_certificate() {
    let served = Served::new(false).await;
    let answer = served.ask(served.trusted()).await.unwrap();
    assert!(
        answer.contains("strict-transport-security: max-age=31536000"),
        "{answer}"
    );
    served.end().await;
}

#[tokio::test]
async fn a_reload_takes_up_the_certificate_that_lies_there_now() {
    let served = Served::new(false).await;
    let old = served.trusted();
    let other = Served::new(true).await;
    for name in ["tls-cert.pem", "tls-key.pem"] {
        let from = other.gateway.folder.path().join("access").join(name);
        std::fs::copy(from, served.gateway.folder.path().join("access").join(name)).unwrap();
    }
    served.gateway.config.send_modify(|_| {});
    let taken = async {
        while served.ask(served.trusted()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    assert!(served.ask(old).await.is_err());
    other.end().await;
    served.end().await;
}

#[tokio::test]
async fn who_does_not_encrypt_gets_nothing_and_who_says_nothing_holds_nobody_up() {
    let served = Served::new(true).await;
    let _silent = TcpStream::connect(served.address).await.unwrap();
    let mut plain = TcpStream::connect(served.address).await.unwrap();
    plain
        .write_all(b"GET /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    let read = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await;
    read.unwrap().ok();
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
    assert!(served.ask(served.trusted()).await.is_ok());
    served.end().await;
}
