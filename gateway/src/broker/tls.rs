//! TLS towards a broker: rustls with ring, and nothing global.

use super::{BrokerError, FileRole, read_file};
use crate::config::Tls;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// Largest PEM file; the system's whole list of authorities has about 250 KB.
const PEM_BYTES: u64 = 4 << 20;

/// Makes ring the process's default provider, for parts that ask for "the default". Doing so
/// twice changes nothing. The connections made here name their provider and do not need it.
pub fn install_crypto() {
    // Err: somebody installed one before, and that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client side of one connection.
pub(super) fn client(tls: &Tls) -> Result<ClientConfig, BrokerError> {
    let roots = authorities(tls.ca_file.as_deref())?;
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| BrokerError::Tls {
            why: why.to_string(),
        })?
        .with_root_certificates(roots);
    match (&tls.cert_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates(FileRole::ClientCertificate, certificate)?;
            let secret = private_key(key)?;
            builder.with_client_auth_cert(chain, secret).map_err(|why| {
                BrokerError::IdentityMismatch {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    why: why.to_string(),
                }
            })
        }
        (Some(_), None) => Err(BrokerError::HalfIdentity {
            present: FileRole::ClientCertificate,
            missing: FileRole::ClientKey,
        }),
        (None, Some(_)) => Err(BrokerError::HalfIdentity {
            present: FileRole::ClientKey,
            missing: FileRole::ClientCertificate,
        }),
    }
}

/// Whom to trust: `ca_file` alone when there is one, else the system's list.
fn authorities(ca_file: Option<&Path>) -> Result<RootCertStore, BrokerError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in certificates(FileRole::Authorities, path)? {
            roots
                .add(certificate)
                .map_err(|why| BrokerError::Malformed {
                    role: FileRole::Authorities,
                    path: path.to_owned(),
                    problem: format!("holds a certificate that cannot be used: {why}"),
                    remedy: "export the authority's certificate again, as X.509 version 3 in PEM",
                })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found
            .errors
            .first()
            .map_or_else(|| "no certificates found".to_owned(), ToString::to_string);
        return Err(BrokerError::NoAuthorities { why });
    }
    Ok(roots)
}

/// The certificates in a PEM file, at least one.
pub(super) fn certificates(
    role: FileRole,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let text = read_file(role, path, PEM_BYTES)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|why| malformed(role, path, &why))?;
    if chain.is_empty() {
        return Err(malformed(role, path, &pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, BrokerError> {
    let role = FileRole::ClientKey;
    let text = read_file(role, path, PEM_BYTES)?;
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    if text
        .windows(encrypted.len())
        .any(|window| window == encrypted)
    {
        return Err(BrokerError::Malformed {
            role,
            path: path.to_owned(),
            problem: "is protected by a passphrase".into(),
            remedy: "decrypt it with `openssl pkey` and protect it by file permissions",
        });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|why| malformed(role, path, &why))
}

fn malformed(role: FileRole, path: &Path, why: &pem::Error) -> BrokerError {
    let (thing, remedy) = match role {
        FileRole::ClientKey => (
            "private key",
            "a key file starts with `-----BEGIN PRIVATE KEY-----`",
        ),
        _ => (
            "certificate",
            "a certificate file starts with `-----BEGIN CERTIFICATE-----`",
        ),
    };
    let problem = match why {
        pem::Error::NoItemsFound => format!("holds no {thing} in PEM form"),
        why => format!("holds no readable {thing}: {why:?}"),
    };
    BrokerError::Malformed {
        role,
        path: path.to_owned(),
        problem,
        remedy,
    }
}
