//! Asks the running gateway over its control socket.

use crate::web::problem::Problem;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// An answer comes within this time; the gateway itself gives up after 30 s.
const ANSWER_TIME: Duration = Duration::from_secs(35);

/// The control socket of the installed service.
const RUN: &str = "/run/tillwatch/control.sock";
/// The data directory of the installed service.
const SERVICE_DATA: &str = "/var/lib/tillwatch";

/// Why a question had no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody answers.
    #[error("the gateway is not running (nobody answers on {})", .0.display())]
    Down(PathBuf),
    /// The socket may not be opened.
    #[error("you may not use {}: be root, or a member of the gateway's group", .0.display())]
    Denied(PathBuf),
    /// The gateway refused.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The connection broke.
    #[error("the gateway's answer on {path} cannot be used: {why}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        why: String,
    },
}

/// The control socket of one gateway.
#[derive(Debug, Clone)]
pub struct Control {
    path: PathBuf,
}

impl Control {
    /// The socket of the gateway that keeps its data there: `/run/tillwatch/control.sock` for the
    /// installed service where it exists, else `control.sock` in the directory.
    #[must_use]
    pub fn of_data(data: &Path) -> Self {
        let run = Path::new(RUN);
        let is_service = data == Path::new(SERVICE_DATA) && run.exists();
        Self {
            path: if is_service {
                run.to_owned()
            } else {
                data.join("control.sock")
            },
        }
    }

    /// The gateway that listens there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// `GET`, and the JSON of the answer.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn get<T: DeserializeOwned>(&self, uri: &str) -> Result<T, ControlError> {
        let answer = async { self.whole(self.ask(Method::GET, uri, None).await?).await };
        self.json(&self.in_time(answer).await?)
    }

    /// `POST` of JSON, and the JSON of the answer.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        uri: &str,
        body: &serde_json::Value,
    ) -> Result<T, ControlError> {
        let body = body.to_string();
        let answer = async {
            self.whole(self.ask(Method::POST, uri, Some(body)).await?)
                .await
        };
        self.json(&self.in_time(answer).await?)
    }

    /// A change whose answer says nothing more.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn change(
        &self,
        method: Method,
        uri: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(), ControlError> {
        let body = body.map(ToString::to_string);
        let answer = async { self.whole(self.ask(method, uri, body).await?).await };
        self.in_time(answer).await.map(|_| ())
    }

    /// `GET` of an answer without end.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn stream(&self, uri: &str) -> Result<Incoming, ControlError> {
        Ok(self
            .in_time(self.ask(Method::GET, uri, None))
            .await?
            .into_body())
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, ControlError>>,
    ) -> Result<T, ControlError> {
        let limited = tokio::time::timeout(ANSWER_TIME, answer).await;
        limited.unwrap_or_else(|_| {
            Err(self.broken(format!("none within {} s", ANSWER_TIME.as_secs())))
        })
    }

    /// Sends a request; an answer with an error status is a [`ControlError::Refused`].
    async fn ask(
        &self,
        method: Method,
        uri: &str,
        body: Option<String>,
    ) -> Result<Response<Incoming>, ControlError> {
        let socket = UnixStream::connect(&self.path)
            .await
            .map_err(|why| match why.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ControlError::Down(self.path.clone())
                }
                io::ErrorKind::PermissionDenied => ControlError::Denied(self.path.clone()),
                _ => self.broken(why),
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|why| self.broken(why))?;
        // Ends by itself with the answer's last byte, or when the answer is dropped.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).map_err(|why| self.broken(why))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|why| self.broken(why))?;
        let status = response.status();
        if status < StatusCode::BAD_REQUEST {
            return Ok(response);
        }
        let body = self.whole(response).await?;
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ControlError::Refused(Box::new(problem)),
            Err(_) => self.broken(format!("status {status} without a reason")),
        })
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, ControlError> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await;
        Ok(body.map_err(|why| self.broken(why))?.to_bytes())
    }

    fn json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ControlError> {
        serde_json::from_slice(body).map_err(|why| self.broken(why))
    }

    fn broken(&self, why: impl ToString) -> ControlError {
        ControlError::Broken {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}
