//! The listeners. HTTP/1.1 with a bound on everything that a peer could hold on to: connections,
//! header bytes, the time for a header, for a request, for taking an answer, for the last answers at
//! the end.

mod https;

pub use https::serve_https;

use super::access::{Access, HostNames, Token, TokenError};
use super::peer::Peer;
use super::stall::{self, Stalling};
use crate::Shared;
use crate::health::{PartState, part};
use axum::Router;
use axum::body::Body;
use axum::http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Connections of one listener at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// A request's header must be complete within this time; so long an idle connection is kept.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// Most bytes of a header.
const HEADER_BYTES: usize = 32 * 1024;
/// At the end, answers under way get this long.
const GRACE: Duration = Duration::from_secs(2);
/// After a failed `accept` (no descriptors left), the next one waits this long.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// What stands in the way of a listener is looked at again this often.
pub const LISTEN_AGAIN: Duration = Duration::from_secs(15);
/// Owner and group of the control socket may connect; what they may do is another matter.
const CONTROL_MODE: u32 = 0o660;
/// Longest path of a Unix socket (`sun_path` with its end).
const SOCKET_PATH_BYTES: usize = 107;

/// Why a listener cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Without TLS they stay on loopback.
    #[error("{0} is not a loopback address; page and API are served there with TLS only")]
    NotLoopback(SocketAddr),
    /// Tills on the network must show a token.
    #[error("{0} is not a loopback address; set ingest.token_file")]
    TokenNeeded(SocketAddr),
    /// Another daemon answers on the control socket.
    #[error("another daemon answers on {}", .0.display())]
    InUse(PathBuf),
    /// The path does not fit into a socket address.
    #[error("{} is longer than {SOCKET_PATH_BYTES} bytes; choose a shorter data directory", .0.display())]
    TooLong(PathBuf),
    /// Something is there that is no socket.
    #[error("{} exists and is no socket; remove it", .0.display())]
    NoSocket(PathBuf),
    /// The token cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A call to the system failed.
    #[error("{what}: {why}")]
    Io {
        /// Which call, with its path or address.
        what: String,
        /// The system's answer.
        why: io::Error,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServeError {
    move |why| ServeError::Io {
        what: what.into(),
        why,
    }
}

/// Ends streams of answers when the program ends. An extension of every request.
#[derive(Debug, Clone)]
pub struct Shutdown(pub CancellationToken);

/// The connection is encrypted. An extension of every request that came so.
#[derive(Debug, Clone, Copy)]
pub struct Encrypted {
    /// Somebody vouches for the certificate: browsers may insist on it from now on.
    pub vouched: bool,
}

/// Where a request came from. An extension of every request.
#[derive(Debug, Clone)]
pub enum Address {
    /// The network or loopback.
    Tcp(SocketAddr),
    /// The control socket.
    Control {
        /// The user.
        uid: u32,
    },
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http from {address}"),
            Self::Control { uid } => write!(f, "control socket, uid {uid}"),
        }
    }
}

/// Serves page and API on loopback until `shutdown`. Refuses to listen anywhere else, and says so
/// on the log.
pub async fn serve_http(listener: TcpListener, shared: Shared, shutdown: CancellationToken) {
    match loopback_only(&listener) {
        Ok(address) => {
            tracing::info!(%address, "page and API");
            let router = super::router(shared, Access::Page(HostNames::default()));
            serve(&Listener::Tcp(listener), router, shutdown).await;
        }
        Err(why) => tracing::error!(%why, "no page and no API"),
    }
}

fn loopback_only(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    let address = listener
        .local_addr()
        .map_err(io_error("local address of the web listener"))?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(ServeError::NotLoopback(address))
    }
}

/// Serves tills until `shutdown`: `POST /api/pos-events` and nothing else, with the token of
/// `token_file`. Without a token only on loopback. What stands in the way is told as the part's
/// state and looked at again after `again`.
pub async fn serve_ingest(
    listener: TcpListener,
    token_file: Option<PathBuf>,
    shared: Shared,
    shutdown: CancellationToken,
    again: Duration,
) {
    let address = listener.local_addr().map(|address| address.to_string());
    let what = address.unwrap_or_default();
    let token = loop {
        match ingest_guard(&listener, token_file.as_deref()) {
            Ok(token) => break token,
            Err(why) => {
                let reason = format!("tills cannot post their events: {why}");
                shared
                    .health
                    .set(part::INGEST, &what, PartState::Down { reason });
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(again) => {}
        }
    };
    shared.health.set(part::INGEST, &what, PartState::Up);
    let router = super::router(shared, Access::Ingest(token));
    serve(&Listener::Tcp(listener), router, shutdown).await;
}

fn ingest_guard(
    listener: &TcpListener,
    token_file: Option<&Path>,
) -> Result<Option<Token>, ServeError> {
    let address = listener
        .local_addr()
        .map_err(io_error("local address of the ingest listener"))?;
    match token_file {
        Some(path) => Ok(Some(Token::from_file(path)?)),
        None if address.ip().is_loopback() => Ok(None),
        None => Err(ServeError::TokenNeeded(address)),
    }
}

/// Serves local commands on a Unix socket until `shutdown`, then removes it. When the socket cannot
/// be made, or another daemon answers on it, the part says so and it is tried again after `again`.
pub async fn serve_control(
    path: &Path,
    shared: Shared,
    shutdown: CancellationToken,
    again: Duration,
) {
    let what = path.display().to_string();
    let listener = loop {
        match bind_control(path).await {
            Ok(listener) => break listener,
            Err(why) => {
                let reason = format!("local commands will not find this daemon: {why}");
                shared
                    .health
                    .set(part::CONTROL, &what, PartState::Down { reason });
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(again) => {}
        }
    };
    let inode = std::fs::metadata(path).map(|meta| meta.ino()).ok();
    shared.health.set(part::CONTROL, &what, PartState::Up);
    let router = super::router(shared, Access::Control);
    serve(&Listener::Unix(listener), router, shutdown).await;
    // Only our own: a successor may have put its socket there already.
    if inode.is_some() && std::fs::metadata(path).map(|meta| meta.ino()).ok() == inode {
        let _ = std::fs::remove_file(path);
    }
}

/// Binds beside the final name and moves there when rights are set: nobody meets a half-made
/// socket, and a stale one is replaced in one step.
async fn bind_control(path: &Path) -> Result<UnixListener, ServeError> {
    let shown = path.display();
    let beside = path.with_extension(format!("sock.{}", std::process::id()));
    if beside.as_os_str().len() > SOCKET_PATH_BYTES {
        return Err(ServeError::TooLong(path.to_owned()));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(io_error(format!("create {}", folder.display())))?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ServeError::NoSocket(path.to_owned()));
        }
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => return Err(ServeError::InUse(path.to_owned())),
            // Nobody answers: it was left behind.
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(why) => return Err(io_error(format!("connect to {shown}"))(why)),
        },
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(io_error(format!("look at {shown}"))(why)),
    }
    let _ = std::fs::remove_file(&beside);
    let listener =
        UnixListener::bind(&beside).map_err(io_error(format!("bind {}", beside.display())))?;
    let rights = std::fs::Permissions::from_mode(CONTROL_MODE);
    let placed =
        std::fs::set_permissions(&beside, rights).and_then(|()| std::fs::rename(&beside, path));
    placed.map_err(|why| {
        let _ = std::fs::remove_file(&beside);
        io_error(format!("place {shown}"))(why)
    })?;
    Ok(listener)
}

enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor, Encrypted),
    Unix(UnixListener),
}

async fn serve(listener: &Listener, router: Router, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accept = async {
            let place = places.clone().acquire_owned().await;
            (place, accept(listener).await)
        };
        let (place, accepted) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept => accepted,
        };
        let (socket, mut extensions) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => {
                tracing::warn!(%why, "a connection was not accepted");
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_AGAIN) => continue,
                }
            }
        };
        extensions.insert(Shutdown(shutdown.clone()));
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let tls = match listener {
            Listener::Tls(_, acceptor, encrypted) => {
                extensions.insert(*encrypted);
                Some(acceptor.clone())
            }
            Listener::Tcp(_) | Listener::Unix(_) => None,
        };
        connections.spawn(async move {
            let _place = place;
            let socket = match tls {
                None => socket,
                Some(acceptor) => {
                    let agreed = tokio::select! {
                        () = shutdown.cancelled() => None,
                        agreed = https::agree(acceptor, socket) => agreed,
                    };
                    match agreed {
                        Some(socket) => socket,
                        None => return,
                    }
                }
            };
            connection(socket, router, extensions, shutdown, stall::STALL).await;
        });
    }
    connections.close();
    connections.wait().await;
}

type Socket = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

async fn accept(listener: &Listener) -> io::Result<(Socket, Extensions)> {
    let mut extensions = Extensions::new();
    match listener {
        Listener::Tcp(listener) | Listener::Tls(listener, ..) => {
            let (socket, address) = listener.accept().await?;
            // Answers are small; a peer that is gone already shows when it is read from.
            let _ = socket.set_nodelay(true);
            extensions.insert(Address::Tcp(address));
            Ok((Box::new(socket), extensions))
        }
        Listener::Unix(listener) => {
            let (socket, _) = listener.accept().await?;
            // Without the kernel's word there is no peer, and no rights.
            match Peer::of(socket.as_fd()) {
                Ok(peer) => {
                    extensions.insert(Address::Control { uid: peer.uid });
                    extensions.insert(peer);
                }
                Err(why) => {
                    tracing::warn!(%why, "the kernel does not say who is at the control socket")
                }
            }
            Ok((Box::new(socket), extensions))
        }
    }
}

async fn connection(
    socket: Socket,
    router: Router,
    extensions: Extensions,
    shutdown: CancellationToken,
    stall: Duration,
) {
    let socket = Stalling::new(socket, stall);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(extensions.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::films::long_film;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Whoever watches and takes nothing gives the place and the footage back.
    #[tokio::test]
    async fn a_reader_who_stalls_holds_no_place_and_no_footage() {
        let (gateway, base) = long_film().await;
        let router = gateway.page();
        let media = gateway.shared.clips.clone().unwrap().media;
        for round in 0..2 {
            let mut watching = Vec::new();
            for _ in 0..crate::web::WATCHERS {
                let (mut reader, socket) = tokio::io::duplex(4 << 10);
                let ask = format!("GET {base}/stream HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
                reader.write_all(ask.as_bytes()).await.unwrap();
                let ended = tokio::spawn(connection(
                    Box::new(socket),
                    router.clone(),
                    Extensions::new(),
                    CancellationToken::new(),
                    Duration::from_millis(300),
                ));
                let mut begin = [0; 15];
                reader.read_exact(&mut begin).await.unwrap();
                assert_eq!(&begin, b"HTTP/1.1 200 OK", "round {round}");
                watching.push((reader, ended));
            }
            assert_eq!(media.usage().pins, crate::web::WATCHERS as u64);
            for (_reader, ended) in watching {
                tokio::time::timeout(Duration::from_secs(20), ended)
                    .await
                    .expect("the connection ends")
                    .unwrap();
            }
            assert_eq!(media.usage().pins, 0);
        }
    }
}
