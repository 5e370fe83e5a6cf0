//! What the network and the broker answer, in one sentence with the remedy.

use rumqttc::v5::mqttbytes;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError, TlsError};
use rustls::{AlertDescription, CertificateError};
use std::io;

/// What to do about a connection that did not come about or broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The way there is broken: try again soon.
    Network,
    /// The broker does not want us for now: try again later.
    Busy,
    /// Somebody has to change something, here or there: try again at the slowest pace.
    Setup,
    /// The broker spoke nonsense or fell silent: a new connection, soon.
    Protocol,
    /// Another client uses our client id.
    TakenOver,
}

/// A broken connection, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// One sentence with the remedy.
    pub text: String,
    /// For `mqtt_publish_errors_total{reason}` and for logs.
    pub word: &'static str,
    /// How to react.
    pub reaction: Reaction,
    /// The broker closed because we published, or connected, without the right to.
    pub denied: bool,
}

/// Explains why the connection to `address` (`host:port`) failed.
#[must_use]
pub fn explain(error: &ConnectionError, address: &str) -> Trouble {
    match error {
        ConnectionError::Timeout(_) => trouble(
            Reaction::Network,
            "timeout",
            format!(
                "{address} did not answer in time; check that it is a broker and that no firewall drops the packets"
            ),
        ),
        ConnectionError::Tls(error) => tls(error, address),
        ConnectionError::Io(error) => input_output(error, address),
        ConnectionError::ConnectionRefused(code) => refused(*code, address),
        ConnectionError::NotConnAck(_) => trouble(
            Reaction::Setup,
            "protocol",
            format!("{address} does not answer as an MQTT 5 broker does; check host and port"),
        ),
        ConnectionError::RequestsDone => trouble(
            Reaction::Protocol,
            "closed",
            format!("the connection to {address} was closed by this program"),
        ),
        ConnectionError::MqttState(error) => state(error, address),
    }
}

fn trouble(reaction: Reaction, word: &'static str, text: String) -> Trouble {
    Trouble {
        text,
        word,
        reaction,
        denied: false,
    }
}

fn state(error: &StateError, address: &str) -> Trouble {
    let protocol = |word, text: String| trouble(Reaction::Protocol, word, text);
    match error {
        StateError::Io(error) => input_output(error, address),
        StateError::ServerDisconnect {
            reason_code,
            reason_string,
        } => disconnected(*reason_code, reason_string.as_deref(), address),
        StateError::ConnFail { reason } => refused(*reason, address),
        StateError::ConnectionAborted => trouble(
            Reaction::Network,
            "closed",
            format!("{address} closed the connection without a reason; its log tells why"),
        ),
        StateError::AwaitPingResp => trouble(
            Reaction::Network,
            "silent",
            format!("{address} no longer answers pings; the line or the broker is dead"),
        ),
        StateError::OutgoingPacketTooLarge { pkt_size, max } => protocol(
            "too_large",
            format!(
                "a message of {pkt_size} bytes is larger than the {max} that {address} allows; raise the broker's limit"
            ),
        ),
        StateError::IncomingPacketTooLarge { pkt_size, max } => protocol(
            "too_large",
            format!(
                "{address} sent {pkt_size} bytes in one packet and {max} are allowed; split what is published"
            ),
        ),
        StateError::Deserialization(mqttbytes::Error::Io(error)) => input_output(error, address),
        error => protocol(
            "protocol",
            format!(
                "{address} broke the rules of MQTT 5 ({error}); check that it is a broker of a current version"
            ),
        ),
    }
}

fn refused(code: ConnectReturnCode, address: &str) -> Trouble {
    use ConnectReturnCode as Code;
    let setup = |word, text: String| trouble(Reaction::Setup, word, text);
    match code {
        Code::BadUserNamePassword => setup(
            "credentials",
            format!(
                "{address} refuses user or password; check `username` and `password_file` against the broker's password list"
            ),
        ),
        Code::NotAuthorized => Trouble {
            denied: true,
            ..setup(
                "not_authorized",
                format!(
                    "{address} knows us and does not let us in; check the broker's access list, user and client certificate"
                ),
            )
        },
        Code::Banned => setup(
            "banned",
            format!("{address} has banned this client; ask who runs the broker"),
        ),
        Code::BadAuthenticationMethod => setup(
            "credentials",
            format!(
                "{address} wants another way of logging in; use user and password or a client certificate"
            ),
        ),
        Code::BadClientId | Code::ClientIdentifierNotValid => setup(
            "client_id",
            format!(
                "{address} refuses our client id; check `store_code` and `register_id` against the broker's rules"
            ),
        ),
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => setup(
            "version",
            format!("{address} does not speak MQTT 5; update it"),
        ),
        Code::UseAnotherServer | Code::ServerMoved => setup(
            "moved",
            format!("{address} sends us elsewhere; set `mqtt.host` to the new broker"),
        ),
        Code::RetainNotSupported | Code::QoSNotSupported | Code::TopicNameInvalid => setup(
            "unsupported",
            format!(
                "{address} refuses our last will ({code:?}); it must allow retained messages of QoS 1 below `stores/`"
            ),
        ),
        Code::ServiceUnavailable
        | Code::ServerUnavailable
        | Code::ServerBusy
        | Code::QuotaExceeded
        | Code::ConnectionRateExceeded => trouble(
            Reaction::Busy,
            "busy",
            format!(
                "{address} is there and takes no clients now ({code:?}); it is tried again by itself"
            ),
        ),
        code => trouble(
            Reaction::Protocol,
            "refused",
            format!("{address} refuses the connection ({code:?}); its log tells why"),
        ),
    }
}

fn disconnected(code: DisconnectReasonCode, reason: Option<&str>, address: &str) -> Trouble {
    use DisconnectReasonCode as Code;
    let said = reason.map_or_else(String::new, |reason| format!(", saying “{reason}”"));
    match code {
        Code::NotAuthorized => Trouble {
            denied: true,
            ..trouble(
                Reaction::Protocol,
                "not_authorized",
                format!(
                    "{address} closed because we may not publish there{said}; check the broker's access list"
                ),
            )
        },
        Code::SessionTakenOver => trouble(
            Reaction::TakenOver,
            "taken_over",
            format!(
                "another client with our id connected to {address}{said}; two gateways must not share `store_code` and `register_id`"
            ),
        ),
        Code::ServerBusy
        | Code::ServerShuttingDown
        | Code::MessageRateTooHigh
        | Code::QuotaExceeded
        | Code::ConnectionRateExceeded
        | Code::MaximumConnectTime => trouble(
            Reaction::Busy,
            "busy",
            format!(
                "{address} closed the connection ({code:?}){said}; it is tried again by itself"
            ),
        ),
        Code::KeepAliveTimeout => trouble(
            Reaction::Network,
            "silent",
            format!(
                "{address} heard nothing from us in time{said}; the line is bad or this machine overloaded"
            ),
        ),
        Code::UseAnotherServer | Code::ServerMoved | Code::AdministrativeAction => trouble(
            Reaction::Setup,
            "moved",
            format!("{address} sent us away ({code:?}){said}; ask who runs the broker"),
        ),
        code => trouble(
            Reaction::Protocol,
            "disconnected",
            format!("{address} closed the connection ({code:?}){said}; its log tells why"),
        ),
    }
}

fn input_output(error: &io::Error, address: &str) -> Trouble {
    if let Some(error) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return rustls_error(error, address);
    }
    let network = |word, text: String| trouble(Reaction::Network, word, text);
    match error.kind() {
        io::ErrorKind::ConnectionRefused => network(
            "refused",
            format!("nothing listens at {address}; check that the broker runs, and the port"),
        ),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => network(
            "unreachable",
            format!("there is no way to {address}; check cable, address and router"),
        ),
        io::ErrorKind::TimedOut => network(
            "timeout",
            format!("{address} does not answer; check line and firewall"),
        ),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => network(
            "reset",
            format!(
                "the connection to {address} broke ({error}); a TLS port wants `tls.enabled`, else it is tried again by itself"
            ),
        ),
        // The resolver's errors have no kind of their own.
        _ if error.to_string().contains("lookup address")
            || error.to_string().contains("could not resolve") =>
        {
            network(
                "name",
                format!(
                    "the name in {address} cannot be resolved; check `mqtt.host` and the name server"
                ),
            )
        }
        _ => network(
            "io",
            format!("the connection to {address} failed: {error}; it is tried again by itself"),
        ),
    }
}

fn tls(error: &TlsError, address: &str) -> Trouble {
    match error {
        TlsError::Io(error) => input_output(error, address),
        TlsError::TLS(error) => rustls_error(error, address),
        TlsError::DNSName(_) => trouble(
            Reaction::Setup,
            "certificate",
            format!(
                "the host in {address} is no name that a certificate can carry; check `mqtt.host`"
            ),
        ),
        error => trouble(
            Reaction::Setup,
            "tls",
            format!("TLS with {address} failed: {error}; check the files under `tls`"),
        ),
    }
}

fn rustls_error(error: &rustls::Error, address: &str) -> Trouble {
    use CertificateError as Bad;
    let setup = |text: String| trouble(Reaction::Setup, "certificate", text);
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => setup(format!(
                "the certificate of {address} is signed by an authority that we do not trust; put that authority's certificate into `tls.ca_file`"
            )),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => setup(format!(
                "the certificate of {address} is for another name ({bad}); set `mqtt.host` to a name in it, or renew it"
            )),
            Bad::Expired | Bad::ExpiredContext { .. } => setup(format!(
                "the certificate of {address} has expired ({bad}); renew it at the broker, and check this machine's clock"
            )),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => setup(format!(
                "the certificate of {address} is not valid yet ({bad}); this machine's clock is probably wrong, check time synchronisation"
            )),
            bad => setup(format!(
                "the certificate of {address} cannot be accepted: {bad}; have it issued again"
            )),
        },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure => setup(format!(
                "{address} wants a client certificate that it trusts ({alert:?}); set `tls.cert_file` and `tls.key_file`"
            )),
            AlertDescription::UnknownCA => setup(format!(
                "{address} does not trust the authority of our client certificate; install one issued for this broker"
            )),
            AlertDescription::CertificateExpired => setup(format!(
                "our client certificate has expired; renew `tls.cert_file` to reach {address}"
            )),
            AlertDescription::CertificateRevoked => setup(format!(
                "our client certificate was revoked; {address} wants a new one in `tls.cert_file`"
            )),
            alert => setup(format!(
                "{address} ended TLS ({alert:?}); its log tells why"
            )),
        },
        rustls::Error::InvalidMessage(_) => setup(format!(
            "{address} does not speak TLS; check the port, or switch `tls.enabled` off"
        )),
        error => setup(format!(
            "TLS with {address} failed: {error}; check both ends' settings"
        )),
    }
}
