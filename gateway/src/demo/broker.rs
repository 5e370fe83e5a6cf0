//! The embedded broker: rumqttd on loopback, MQTT 5 only.

use super::DemoError;
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// The usual port is tried first, so that a newcomer's `mosquitto_sub` finds it.
const USUAL_PORT: u16 = 1883;
/// How long the broker may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Starts the broker for the life of the process and returns its address.
///
/// # Errors
/// [`DemoError::Broker`] when no port is free or it does not listen in time.
pub fn start() -> Result<SocketAddr, DemoError> {
    let address = free_address().map_err(|why| DemoError::Broker(why.to_string()))?;
    let connections = ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 1 << 20,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = ServerSettings {
        name: "demo".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let config = Config {
        id: 0,
        router: RouterConfig {
            max_connections: 64,
            max_outgoing_packet_count: 200,
            max_segment_size: 1 << 20,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v5: Some(HashMap::from([("demo".to_owned(), server)])),
        ..Config::default()
    };
    let thread = std::thread::Builder::new().name("broker".into());
    thread
        .spawn(move || {
            if let Err(why) = Broker::new(config).start() {
                tracing::error!(%why, "the embedded broker ended");
            }
        })
        .map_err(DemoError::Thread)?;
    let limit = Instant::now() + START_LIMIT;
    while Instant::now() < limit {
        if std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
            return Ok(address);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(DemoError::Broker(format!(
        "it does not listen on {address}"
    )))
}

fn free_address() -> std::io::Result<SocketAddr> {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, USUAL_PORT));
    match TcpListener::bind(usual) {
        Ok(_) => Ok(usual),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr(),
    }
}
