//! Who may ask for what, by the way they came in.
//!
//! | way | who | what is checked |
//! | --- | --- | --- |
//! | loopback HTTP | anybody on this machine, and its browser, until somebody is set up; then who logged in | `Host` names this machine (against DNS rebinding); a changing request from a page comes from our own page |
//! | network, with TLS | who logged in | the cookie of a session or a bearer token; the origin likewise |
//! | passed on by a proxy (`Forwarded`, `X-Forwarded-For`) | who logged in | the cookie of a session or a bearer token; the origin likewise |
//! | control socket | users of this machine | the kernel's word for user and groups: root and the daemon's user change, its group looks |
//! | ingest | tills on the network | the bearer token, in constant time; one route only |

mod standing;

pub(super) use standing::{COOKIE, Login, Standing, limits};

use super::peer::{Own, Peer, Rights};
use super::problem::Problem;
use super::rights;
use super::serve::{Address, Encrypted, Shutdown};
use crate::Shared;
use crate::logins::{Right, Role};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Longest token file, in bytes.
const TOKEN_FILE_BYTES: u64 = 4_096;
/// Shortest token, in bytes: shorter ones can be guessed.
const TOKEN_MIN: usize = 16;

/// The way requests come in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Page and API on loopback.
    Page(HostNames),
    /// Page and API on the network, encrypted.
    Network(HostNames),
    /// The control socket; requests carry a [`Peer`] extension.
    Control,
    /// Tills, with a token; without one only by names of loopback.
    Ingest(Option<Token>),
}

/// Who asks, for the record. An extension of every request that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody at the local page, where no login is asked for.
    Page,
    /// Somebody who logged in, or a program with a token.
    Person {
        /// The login's name.
        name: Arc<str>,
        /// Its role.
        role: Role,
    },
    /// A local user.
    Peer(Peer),
    /// A till.
    Till,
}

impl Caller {
    /// As records name it. May ask the system's user database.
    pub(super) async fn name(&self) -> String {
        match self {
            Self::Page => "local page".into(),
            Self::Person { name, .. } => name.to_string(),
            Self::Till => "till".into(),
            Self::Peer(peer) => {
                let (peer, uid) = (peer.clone(), peer.uid);
                let name = tokio::task::spawn_blocking(move || peer.name()).await;
                name.unwrap_or_else(|_| format!("uid {uid}"))
            }
        }
    }
}

/// Names this machine goes by in a `Host` header: the loopback ones and those given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames(Arc<[String]>);

impl HostNames {
    /// `localhost`, addresses of loopback, and these (without port, any case).
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(others: I) -> Self {
        Self(
            others
                .into_iter()
                .map(|name| name.as_ref().to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether a `Host` header's value (with or without port) is one of them.
    #[must_use]
    pub fn contain(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        let address = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        name == "localhost" || address.is_ok_and(|ip| ip.is_loopback()) || self.0.contains(&name)
    }
}

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {path}: {why}")]
    Read {
        /// Which file.
        path: std::path::PathBuf,
        /// The system's answer.
        why: std::io::Error,
    },
    /// It holds no usable token.
    #[error("the token in {path} has {length} characters; at least {TOKEN_MIN} are needed")]
    Short {
        /// Which file.
        path: std::path::PathBuf,
        /// How many it has.
        length: usize,
    },
}

/// A bearer token, kept as its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// From its text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// From a file; white space around it is ignored.
    ///
    /// # Errors
    /// [`TokenError`] when the file cannot be read or the token is too short.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let read = || {
            let mut text = String::new();
            std::fs::File::open(path)?
                .take(TOKEN_FILE_BYTES)
                .read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|why| TokenError::Read {
            path: path.to_owned(),
            why,
        })?;
        let token = text.trim();
        if token.len() < TOKEN_MIN {
            return Err(TokenError::Short {
                path: path.to_owned(),
                length: token.len(),
            });
        }
        Ok(Self::new(token))
    }

    /// Compares in a time that tells nothing of the token.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        self.0.ct_eq(&shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The check in front of every route, known or not.
pub(super) async fn check(
    State((access, shared)): State<(Access, Shared)>,
    mut request: Request,
    next: Next,
) -> Response {
    let vouched = request.extensions().get::<Encrypted>();
    let insist = vouched.is_some_and(|encrypted| encrypted.vouched);
    let mut response = match allow(&access, &shared, &request) {
        Ok((caller, standing)) => {
            if let Some(person) = &standing.person {
                // What is streamed ends with the session; that ends with the program.
                request
                    .extensions_mut()
                    .insert(Shutdown(person.ends.clone()));
            }
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(standing);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if insist {
        let insist = HeaderValue::from_static("max-age=31536000");
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, insist);
    }
    response
}

fn allow(
    access: &Access,
    shared: &Shared,
    request: &Request,
) -> Result<(Caller, Standing), Problem> {
    let changes = !matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    match access {
        Access::Page(names) | Access::Network(names) => {
            let near = match request.extensions().get::<Address>() {
                Some(Address::Tcp(address)) => address.ip().to_canonical().is_loopback(),
                // The loopback listener has no other peers.
                _ => matches!(access, Access::Page(_)),
            };
            let here = near && !standing::passed_on(request.headers());
            if here {
                check_host(names, request)?;
            }
            at_page(shared, request, here, changes)
        }
        Access::Control => {
            let peer = request.extensions().get::<Peer>();
            let rights = peer.map_or(Rights::Nothing, |peer| peer.rights(Own::here()));
            let allowed = |peer: &Peer| {
                let standing = Standing::vouched(&Right::ALL);
                Ok((Caller::Peer(peer.clone()), standing))
            };
            match (peer, rights) {
                (Some(peer), Rights::Change) => allowed(peer),
                (Some(peer), Rights::Read) if !changes => allowed(peer),
                (Some(_), Rights::Read) => Err(Problem::forbidden(
                    "rights",
                    "you may look, not change; only root and the daemon's own user may",
                )),
                _ => Err(Problem::forbidden(
                    "rights",
                    "only root, the daemon's own user and members of its group may use this socket",
                )),
            }
        }
        Access::Ingest(token) => {
            match token {
                Some(token) => check_token(token, request.headers())?,
                None => check_host(&HostNames::default(), request)?,
            }
            if changes {
                check_origin(request.headers())?;
            }
            Ok((Caller::Till, Standing::vouched(&[])))
        }
    }
}

fn at_page(
    shared: &Shared,
    request: &Request,
    here: bool,
    changes: bool,
) -> Result<(Caller, Standing), Problem> {
    // A browser lets any page open a WebSocket, and read it.
    if changes || request.headers().contains_key(header::UPGRADE) {
        check_origin(request.headers())?;
    }
    let standing = Standing::at_page(shared, request, here)?;
    match request.extensions().get::<MatchedPath>() {
        Some(route) => standing.meets(rights::need(request.method(), route.as_str()))?,
        // The page itself is for everybody; what is not there below the API is nobody's business.
        None if request.uri().path().starts_with("/api/") && standing.rights.is_empty() => {
            return Err(standing::log_in_first());
        }
        None => {}
    }
    let caller = match &standing.person {
        Some(person) => Caller::Person {
            name: person.name.clone(),
            role: person.role,
        },
        None => Caller::Page,
    };
    Ok((caller, standing))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

fn check_host(names: &HostNames, request: &Request) -> Result<(), Problem> {
    let host = text(request.headers(), header::HOST)
        .or_else(|| request.uri().authority().map(Authority::as_str));
    match host {
        Some(host) if names.contain(host) => Ok(()),
        host => Err(Problem::forbidden(
            "host",
            format!(
                "{} is not a name of this machine; use localhost or 127.0.0.1",
                host.unwrap_or("an empty Host")
            ),
        )),
    }
}

/// A page that changes something must be ours. Programs send no `Origin`.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let refused = |origin: &str| {
        Problem::forbidden(
            "origin",
            format!("a page of `{origin}` may not change anything here"),
        )
    };
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return Err(refused(
            text(headers, header::ORIGIN).unwrap_or("another site"),
        ));
    }
    let Some(origin) = text(headers, header::ORIGIN) else {
        return Ok(());
    };
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    match (authority, text(headers, header::HOST)) {
        (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(refused(origin)),
    }
}

/// What is shown as `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

fn check_token(token: &Token, headers: &HeaderMap) -> Result<(), Problem> {
    match bearer(headers) {
        Some(shown) if token.is(shown) => Ok(()),
        Some(_) => Err(Problem::unauthorized(
            "the bearer token is not the one of this register",
        )),
        None => Err(Problem::unauthorized(
            "send the token as `Authorization: Bearer …`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn only_names_of_this_machine_are_hosts() {
        let names = HostNames::new(["Till-3.lan"]);
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:8080",
            "till-3.lan:8080",
        ] {
            assert!(names.contain(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "me@localhost",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!names.contain(host), "{host}");
        }
    }

    #[test]
    fn a_token_comes_from_a_file_and_is_not_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "  0123456789abcdef").unwrap();
        let token = Token::from_file(file.path()).unwrap();
        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcdeF") && !token.is(""));
        assert_eq!(format!("{token:?}"), "(hidden)");

        let mut short = tempfile::NamedTempFile::new().unwrap();
        writeln!(short, "secret").unwrap();
        assert!(matches!(
            Token::from_file(short.path()),
            Err(TokenError::Short { length: 6, .. })
        ));
        assert!(matches!(
            Token::from_file(Path::new("/nonexistent/token")),
            Err(TokenError::Read { .. })
        ));
    }
}
