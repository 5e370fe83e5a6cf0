//! How a broker is reached: the options of one MQTT 5 connection, made from the configuration.
//!
//! Used by the uplink and by the POS source alike. Everything that a wrong file, key or password
//! can do wrong is said here in one sentence with the remedy; [`explain`] does the same for what
//! the network and the broker answer.

mod distance;
mod expiry;
mod explain;
mod tls;

pub use distance::Distance;
pub use expiry::not_after;
pub use explain::{Reaction, Trouble, explain};
pub use tls::install_crypto;

use crate::config::Mqtt;
use rumqttc::v5::MqttOptions;
use rumqttc::{NetworkOptions, Transport};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Seconds for TCP, TLS and CONNACK together.
pub const CONNECT_TIMEOUT_S: u64 = 15;
/// Largest packet that we accept, told to the broker in CONNECT. A catalogue comes in one packet.
pub const INCOMING_PACKET_BYTES: u32 = 1 << 20;
/// Shortest keep-alive; below five seconds rumqttc panics.
pub const KEEP_ALIVE_MIN_S: u16 = 5;
/// Longest keep-alive; beyond it a dead line stays unseen for an hour.
pub const KEEP_ALIVE_MAX_S: u16 = 3_600;
/// Longest password file.
const PASSWORD_BYTES: u64 = 64 * 1024;

/// What a file of the configuration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// `password_file`.
    Password,
    /// `tls.ca_file`.
    Authorities,
    /// `tls.cert_file`.
    ClientCertificate,
    /// `tls.key_file`.
    ClientKey,
}

impl FileRole {
    /// The key of the configuration that names it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Password => "password_file",
            Self::Authorities => "tls.ca_file",
            Self::ClientCertificate => "tls.cert_file",
            Self::ClientKey => "tls.key_file",
        }
    }
}

impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Why a connection cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No broker is configured.
    #[error("no broker is configured; set `mqtt.host` to have one")]
    NoHost,
    /// A file cannot be read.
    #[error("{role} {} cannot be read: {source}; check that it exists and that the service's user may read it", path.display())]
    Unreadable {
        /// What it is for.
        role: FileRole,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{role} {} {problem}; {remedy}", path.display())]
    Malformed {
        /// What it is for.
        role: FileRole,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Client certificate and key belong together.
    #[error("{present} is set and {missing} is not; a client certificate needs both")]
    HalfIdentity {
        /// Which is there.
        present: FileRole,
        /// Which is not.
        missing: FileRole,
    },
    /// Certificate and key do not fit each other.
    #[error("the key in {} does not fit the certificate in {}: {why}; install the pair that was issued together", key.display(), certificate.display())]
    IdentityMismatch {
        /// The certificate chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What the TLS library says.
        why: String,
    },
    /// This machine trusts nobody.
    #[error(
        "TLS needs authorities to trust and this system has none ({why}); set `tls.ca_file` or install the package `ca-certificates`"
    )]
    NoAuthorities {
        /// What the search for the system's own list says.
        why: String,
    },
    /// The TLS library refuses.
    #[error("TLS cannot be set up: {why}; this is a fault of the program, please report it")]
    Tls {
        /// What it says.
        why: String,
    },
    /// A password without a user.
    #[error("a password is set and `username` is not; set both or neither")]
    PasswordWithoutUser,
    /// The pause between pings is out of range.
    #[error("`keep_alive_s` is {0}; allowed are {KEEP_ALIVE_MIN_S} to {KEEP_ALIVE_MAX_S} seconds")]
    KeepAlive(u16),
}

/// How to react to a [`BrokerError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerErrorKind {
    /// Nothing to connect to: wait for another configuration.
    Absent,
    /// A file may be put right at any time: try again after a while.
    Files,
    /// Only another configuration helps.
    Configuration,
}

impl BrokerError {
    /// How to react.
    #[must_use]
    pub fn kind(&self) -> BrokerErrorKind {
        match self {
            Self::NoHost => BrokerErrorKind::Absent,
            Self::Unreadable { .. }
            | Self::Malformed { .. }
            | Self::IdentityMismatch { .. }
            | Self::NoAuthorities { .. } => BrokerErrorKind::Files,
            Self::HalfIdentity { .. }
            | Self::Tls { .. }
            | Self::PasswordWithoutUser
            | Self::KeepAlive(_) => BrokerErrorKind::Configuration,
        }
    }
}

/// `host:port` of a broker, for people.
#[must_use]
pub fn address(mqtt: &Mqtt) -> String {
    let host = mqtt.host.as_deref().unwrap_or("(none)");
    let port = mqtt.effective_port();
    if bare_host(host).contains(':') {
        format!("[{}]:{port}", bare_host(host))
    } else {
        format!("{host}:{port}")
    }
}

/// An IPv6 address without the brackets that people put around it.
fn bare_host(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

/// The options of one connection: transport, credentials, keep-alive, packet sizes, `TCP_NODELAY`.
/// `clean_start` is set; a subscriber that wants a session changes that itself.
///
/// Reads the files named in the configuration each time, so that renewed certificates and
/// passwords are taken at the next connection.
///
/// # Errors
/// [`BrokerError`] with the file or key and the remedy.
pub fn options(mqtt: &Mqtt, client_id: &str) -> Result<MqttOptions, BrokerError> {
    let host = mqtt
        .host
        .as_deref()
        .filter(|host| !host.is_empty())
        .ok_or(BrokerError::NoHost)?;
    if !(KEEP_ALIVE_MIN_S..=KEEP_ALIVE_MAX_S).contains(&mqtt.keep_alive_s) {
        return Err(BrokerError::KeepAlive(mqtt.keep_alive_s));
    }
    let mut options = MqttOptions::new(client_id, bare_host(host), mqtt.effective_port());
    options
        .set_transport(transport(mqtt)?)
        .set_clean_start(true)
        .set_keep_alive(Duration::from_secs(u64::from(mqtt.keep_alive_s)))
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_max_packet_size(Some(INCOMING_PACKET_BYTES));
    let mut network = NetworkOptions::new();
    // Alerts are single small packets: Nagle's algorithm would hold them for a round trip.
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some((user, password)) = credentials(mqtt)? {
        options.set_credentials(user, password);
    }
    Ok(options)
}

/// Plain TCP, or TLS with the authorities and the identity of the configuration.
///
/// # Errors
/// [`BrokerError`] with the file and the remedy.
pub fn transport(mqtt: &Mqtt) -> Result<Transport, BrokerError> {
    if mqtt.tls.enabled {
        Ok(Transport::tls_with_config(tls::client(&mqtt.tls)?.into()))
    } else {
        Ok(Transport::tcp())
    }
}

/// User and password; `None` without a user. A `password_file` wins over a `password`.
///
/// # Errors
/// [`BrokerError`] when the file cannot be read or holds no password.
pub fn credentials(mqtt: &Mqtt) -> Result<Option<(String, String)>, BrokerError> {
    let password = match (&mqtt.password_file, &mqtt.password) {
        (Some(path), _) => Some(read_password(path)?),
        (None, Some(secret)) => Some(secret.reveal().to_owned()),
        (None, None) => None,
    };
    match (&mqtt.username, password) {
        (Some(user), password) => Ok(Some((user.clone(), password.unwrap_or_default()))),
        (None, Some(_)) => Err(BrokerError::PasswordWithoutUser),
        (None, None) => Ok(None),
    }
}

/// When our client certificate ends; `None` without one, or when it cannot be read.
#[must_use]
pub fn certificate_expiry(mqtt: &Mqtt) -> Option<jiff::Timestamp> {
    let path = mqtt.tls.cert_file.as_deref().filter(|_| mqtt.tls.enabled)?;
    let chain = tls::certificates(FileRole::ClientCertificate, path).ok()?;
    expiry::not_after(chain.first()?)
}

fn read_password(path: &Path) -> Result<String, BrokerError> {
    let malformed = |problem: String| BrokerError::Malformed {
        role: FileRole::Password,
        path: path.to_owned(),
        problem,
        remedy: "put the password alone into its first line",
    };
    let text = read_file(FileRole::Password, path, PASSWORD_BYTES)?;
    let text = String::from_utf8(text).map_err(|_| malformed("is no UTF-8 text".into()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    match password {
        "" => Err(malformed("is empty".into())),
        lines if lines.contains('\n') => Err(malformed("has more than one line".into())),
        password => Ok(password.to_owned()),
    }
}

/// Reads a file of at most `limit` bytes.
fn read_file(role: FileRole, path: &Path, limit: u64) -> Result<Vec<u8>, BrokerError> {
    use std::io::Read as _;
    let unreadable = |source| BrokerError::Unreadable {
        role,
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(BrokerError::Malformed {
            role,
            path: path.to_owned(),
            problem: format!("is larger than {limit} bytes"),
            remedy: "name the right file",
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
