//! Page and API on the network.

use super::{Encrypted, Listener, Socket, serve};
use crate::Shared;
use crate::health::{PartState, part};
use crate::web::access::{Access, HostNames};
use crate::web::tls::{Certificate, TlsError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// A peer must have agreed on encryption within this time.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The certificate is looked at again this often.
const CERTIFICATE_AGAIN: Duration = Duration::from_secs(3_600);

/// Serves page and API with TLS until `shutdown`, to whoever logged in.
///
/// # Errors
/// [`TlsError`] when the certificate cannot be used.
pub async fn serve_https(
    listener: TcpListener,
    certificate: Certificate,
    shared: Shared,
    shutdown: CancellationToken,
) -> Result<(), TlsError> {
    let address = listener.local_addr().map(|address| address.to_string());
    let what = address.unwrap_or_default();
    let listener = Listener::Tls(
        listener,
        certificate.acceptor()?,
        Encrypted {
            vouched: !certificate.is_own(),
        },
    );
    tracing::info!(address = what, %certificate, "page and API with TLS");
    if let Some(code) = shared.logins.code().filter(|_| shared.logins.is_empty()) {
        tracing::warn!(
            code,
            "nobody is set up yet; the set-up at the page asks for this code"
        );
    }
    let router = crate::web::router(shared.clone(), Access::Network(HostNames::default()));
    tokio::select! {
        () = keep(&certificate, &what, shared) => {}
        () = serve(&listener, router, shutdown) => {}
    }
    Ok(())
}

/// Says which certificate is in use, and looks after it: with every reload, and every hour.
async fn keep(certificate: &Certificate, address: &str, shared: Shared) {
    let mut reloads = shared.config.clone();
    loop {
        let what = format!("https {address}, {certificate}");
        shared.health.set(part::WEB, &what, PartState::Up);
        tokio::select! {
            reloaded = reloads.changed() => if reloaded.is_err() {
                std::future::pending::<()>().await;
            },
            () = tokio::time::sleep(CERTIFICATE_AGAIN) => {}
        }
        let (of, now_us) = (certificate.clone(), shared.clock.stamp().utc_us);
        let refreshed = tokio::task::spawn_blocking(move || of.refresh(now_us)).await;
        if let Ok(Err(why)) = refreshed {
            tracing::error!(%why, "the page's certificate stays as it was");
        }
    }
}

/// Agrees on encryption, in time.
pub(super) async fn agree(acceptor: TlsAcceptor, socket: Socket) -> Option<Socket> {
    match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(socket)).await {
        Ok(Ok(socket)) => Some(Box::new(socket)),
        Ok(Err(why)) => {
            metrics::counter!("web_handshakes_failed_total").increment(1);
            tracing::debug!(%why, "no encryption was agreed on");
            None
        }
        Err(_) => {
            metrics::counter!("web_handshakes_failed_total").increment(1);
            None
        }
    }
}
