//! The page's certificate beyond loopback: given files, or one that the gateway makes for itself.
//!
//! Its own is kept in `<data>/access/` (`tls-cert.pem`, `tls-key.pem`), lasts two years and is made
//! anew, with the same key, in the last month of them. Nobody vouches for it: browsers warn once,
//! and whoever looks compares the fingerprint with the one that `tillwatch status` shows. Given
//! files are read again with the configuration, so that their renewal needs no restart.

use crate::broker;
use crate::config::WebTls;
use nix::ifaddrs::getifaddrs;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tillwatch_protocol::time::rfc3339;
use tillwatch_store::private_file;
use tokio_rustls::TlsAcceptor;

/// Largest file that is read.
const FILE_BYTES: u64 = 1 << 20;
const DAY_S: i64 = 86_400;
/// How long our own certificate lasts.
const LASTS_S: i64 = 730 * DAY_S;
/// It is made anew when less than this is left.
const RENEW_S: i64 = 30 * DAY_S;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// A file is not what it should be.
    #[error("{}: {why}", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// None could be made.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls does not take it.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// Where a certificate comes from.
#[derive(Debug, Clone)]
enum Source {
    Files { cert: PathBuf, key: PathBuf },
    Own { folder: PathBuf, names: Vec<String> },
}

/// The certificate in use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificate {
    source: Source,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Current {
    fn get(&self) -> Arc<CertifiedKey> {
        let current = self.0.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Certificate {
    /// Reads or makes it. `address` is where is listened. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(tls: &WebTls, data: &Path, address: IpAddr, now_us: i64) -> Result<Self, TlsError> {
        let source = match (&tls.cert_file, &tls.key_file) {
            (Some(cert), Some(key)) => Source::Files {
                cert: cert.clone(),
                key: key.clone(),
            },
            _ => Source::Own {
                folder: data.join("access"),
                names: names(address),
            },
        };
        let key = source.load(now_us)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        Ok(Self { source, current })
    }

    /// Reads the files again, or makes our own anew when it is time. What was in use stays in use
    /// when that fails. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn refresh(&self, now_us: i64) -> Result<(), TlsError> {
        let key = Arc::new(self.source.load(now_us)?);
        let mut current = self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = key;
        Ok(())
    }

    /// Whether it is our own, which nobody vouches for.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Own { .. })
    }

    /// What a connection does first.
    ///
    /// # Errors
    /// [`TlsError::Use`].
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Its SHA-256 fingerprint, as browsers show it, and when it ends.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current.get();
        let Some(leaf) = current.cert.first() else {
            return f.write_str("no certificate");
        };
        let own = if self.is_own() { "own " } else { "" };
        write!(f, "{own}certificate ")?;
        for (n, byte) in Sha256::digest(leaf).iter().enumerate() {
            let colon = if n == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        match ends_s(leaf) {
            Some(ends_s) => write!(f, ", ends {}", &rfc3339(ends_s * 1_000_000)[..10]),
            None => Ok(()),
        }
    }
}

fn ends_s(leaf: &CertificateDer<'_>) -> Option<i64> {
    broker::not_after(leaf).map(|end| end.as_second())
}

impl Source {
    fn load(&self, now_us: i64) -> Result<CertifiedKey, TlsError> {
        match self {
            Self::Files { cert, key } => certified(cert, &read(cert)?, key, &read(key)?),
            Self::Own { folder, names } => {
                let (cert, key) = (folder.join("tls-cert.pem"), folder.join("tls-key.pem"));
                let held = (
                    private_file::read(&cert, FILE_BYTES)?,
                    private_file::read(&key, FILE_BYTES)?,
                );
                if let (Some(chain), Some(secret)) = &held
                    && let Ok(held) = certified(&cert, chain, &key, secret)
                    && held.cert.first().is_some_and(|leaf| is_fresh(leaf, now_us))
                {
                    return Ok(held);
                }
                // The key stays, where there is one that can be used.
                let pem = held.1.and_then(|pem| String::from_utf8(pem).ok());
                let pair = match pem.and_then(|pem| KeyPair::from_pem(&pem).ok()) {
                    Some(pair) => pair,
                    None => {
                        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                        private_file::write(&key, pair.serialize_pem().as_bytes())?;
                        pair
                    }
                };
                let chain = make(names, &pair, now_us)?;
                private_file::write(&cert, chain.as_bytes())?;
                certified(
                    &cert,
                    chain.as_bytes(),
                    &key,
                    pair.serialize_pem().as_bytes(),
                )
            }
        }
    }
}

/// Long enough before its end; and not so long that it was made by a clock that was wrong.
fn is_fresh(leaf: &CertificateDer<'_>, now_us: i64) -> bool {
    let left = ends_s(leaf).map(|end| end - now_us / 1_000_000);
    left.is_some_and(|left| (RENEW_S..=LASTS_S + DAY_S).contains(&left))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    private_file::read(path, FILE_BYTES)?.ok_or_else(|| TlsError::Content {
        path: path.to_owned(),
        why: "it is not there".into(),
    })
}

fn certified(
    cert: &Path,
    chain: &[u8],
    key: &Path,
    secret: &[u8],
) -> Result<CertifiedKey, TlsError> {
    let content = |path: &Path, why: String| TlsError::Content {
        path: path.to_owned(),
        why,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|why| content(cert, format!("it holds no readable certificate: {why:?}")))?;
    if chain.is_empty() {
        return Err(content(cert, "it holds no certificate in PEM form".into()));
    }
    let secret = PrivateKeyDer::from_pem_slice(secret)
        .map_err(|why| content(key, format!("it holds no readable private key: {why:?}")))?;
    let provider = rustls::crypto::ring::default_provider();
    // Says also when the two do not belong together.
    CertifiedKey::from_der(chain, secret, &provider).map_err(|why| {
        content(
            key,
            format!("it is not the key of {}: {why}", cert.display()),
        )
    })
}

fn make(names: &[String], pair: &KeyPair, now_us: i64) -> Result<String, TlsError> {
    let day = |s: i64| {
        let day = jiff::Timestamp::from_second(s).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
        // Months and days are small and positive.
        let small = |n: i8| n.unsigned_abs();
        date_time_ymd(i32::from(day.year()), small(day.month()), small(day.day()))
    };
    let now_s = now_us / 1_000_000;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    let name = names.first().map_or("tillwatch", String::as_str);
    let named = format!("Tillwatch {name}");
    params.distinguished_name.push(DnType::CommonName, named);
    // Whoever asks has a clock of its own.
    params.not_before = day(now_s - DAY_S);
    params.not_after = day(now_s + LASTS_S);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params.self_signed(pair)?.pem())
}

/// What this machine is called, and its addresses.
fn names(address: IpAddr) -> Vec<String> {
    let host = nix::unistd::gethostname().ok();
    let host = host.and_then(|name| name.into_string().ok());
    let host = host.filter(|name| !name.is_empty() && name.is_ascii());
    let mut names: Vec<String> = host.into_iter().collect();
    let mut others: BTreeSet<String> = BTreeSet::new();
    others.insert("localhost".into());
    if address.is_unspecified() {
        let interfaces = getifaddrs().into_iter().flatten();
        for storage in interfaces.filter_map(|interface| interface.address) {
            if let Some(v4) = storage.as_sockaddr_in() {
                others.insert(v4.ip().to_string());
            } else if let Some(v6) = storage.as_sockaddr_in6()
                && v6.scope_id() == 0
            {
                others.insert(v6.ip().to_string());
            }
        }
    } else {
        others.insert(address.to_string());
    }
    others.remove(names.first().map_or("", String::as_str));
    names.extend(others);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_790_000_000_000_000;

    fn open(data: &Path, now_us: i64) -> Certificate {
        let address = IpAddr::from([192, 0, 2, 20]);
        Certificate::open(&WebTls::default(), data, address, now_us).unwrap()
    }

    fn key(data: &Path) -> Vec<u8> {
        std::fs::read(data.join("access/tls-key.pem")).unwrap()
    }

    #[test]
    fn our_own_certificate_is_kept_and_renewed_in_its_last_month_with_the_same_key() {
        let data = tempfile::tempdir().unwrap();
        let first = open(data.path(), NOW_US);
        let shown = first.to_string();
        assert!(shown.starts_with("own certificate "), "{shown}");
        assert!(shown.ends_with(", ends 2028-09-20"), "{shown}");
        assert_eq!(open(data.path(), NOW_US).to_string(), shown);
        let made_with = key(data.path());

        let month_before = NOW_US + (LASTS_S - RENEW_S - 2 * DAY_S) * 1_000_000;
        first.refresh(month_before).unwrap();
        assert_eq!(first.to_string(), shown);
        first.refresh(month_before + 3 * DAY_S * 1_000_000).unwrap();
        assert_ne!(first.to_string(), shown);
        assert_eq!(key(data.path()), made_with);

        let set_back = open(data.path(), NOW_US);
        assert!(set_back.to_string().ends_with("2028-09-20"), "{set_back}");
    }

    #[test]
    fn files_that_are_given_are_taken_and_what_is_wrong_with_them_is_said() {
        let data = tempfile::tempdir().unwrap();
        open(data.path(), NOW_US);
        let other = tempfile::tempdir().unwrap();
        open(other.path(), NOW_US);
        let file = |of: &tempfile::TempDir, name: &str| Some(of.path().join("access").join(name));
        let given = |cert_file, key_file| {
            let tls = WebTls {
                cert_file,
                key_file,
            };
            let address = IpAddr::from([192, 0, 2, 20]);
            Certificate::open(&tls, data.path(), address, NOW_US)
        };
        let right = given(file(&data, "tls-cert.pem"), file(&data, "tls-key.pem")).unwrap();
        assert!(!right.is_own());
        let why = |cert, key| given(cert, key).unwrap_err().to_string();
        let swapped = why(file(&data, "tls-cert.pem"), file(&other, "tls-key.pem"));
        assert!(swapped.contains("it is not the key of"), "{swapped}");
        let gone = why(file(&data, "gone.pem"), file(&data, "tls-key.pem"));
        assert!(gone.contains("gone.pem: it is not there"), "{gone}");
        let key = why(file(&data, "tls-key.pem"), file(&data, "tls-key.pem"));
        assert!(key.contains("no certificate"), "{key}");
    }
}
