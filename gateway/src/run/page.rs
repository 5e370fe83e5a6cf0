//! The page's listener.

use super::RunError;
use crate::config::Config;
use crate::{Shared, web};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves the page: on loopback as it is, beyond it with TLS and login.
pub(super) async fn serve(
    shared: &Shared,
    config: &Config,
    listener: TcpListener,
    parts: &CancellationToken,
) -> Result<JoinHandle<()>, RunError> {
    let (shared, parts) = (shared.clone(), parts.clone());
    let address = config.web.listen.ip();
    if address.is_loopback() {
        return Ok(tokio::spawn(web::serve_http(listener, shared, parts)));
    }
    let now_us = shared.clock.stamp().utc_us;
    let (tls, data) = (config.web.tls.clone(), config.data.clone());
    let opened = tokio::task::spawn_blocking(move || {
        web::tls::Certificate::open(&tls, &data, address, now_us)
    });
    let certificate = opened
        .await
        .map_err(|why| RunError::Task {
            part: "certificate",
            why: why.to_string(),
        })?
        .map_err(|why| RunError::Certificate { address, why })?;
    Ok(tokio::spawn(async move {
        if let Err(why) = web::serve_https(listener, certificate, shared, parts).await {
            tracing::error!(%why, "no page and no API");
        }
    }))
}
