//! Page and API: where, for whom, with which certificate.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Page and API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Where to listen; beyond loopback with TLS and login.
    pub listen: SocketAddr,
    /// When a login is asked for.
    pub login: LoginPolicy,
    /// Hours that a session lasts.
    pub session_hours: u32,
    /// Minutes without a request that end a session.
    pub idle_minutes: u32,
    /// The certificate beyond loopback.
    pub tls: WebTls,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            login: LoginPolicy::Auto,
            session_hours: 12,
            idle_minutes: 30,
            tls: WebTls::default(),
        }
    }
}

/// The page's certificate beyond loopback; without files the gateway makes its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebTls {
    /// Certificate chain (PEM).
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
}

/// When the page asks for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginPolicy {
    /// On the network always; on this machine once the first login has been made.
    Auto,
    /// Always.
    Always,
}
