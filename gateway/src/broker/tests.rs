use super::*;
use crate::config::{Secret, Tls};
use std::io::Write as _;

fn plain(host: &str) -> Mqtt {
    Mqtt {
        host: Some(host.into()),
        ..Mqtt::default()
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn with_tls(tls: Tls) -> Mqtt {
    Mqtt {
        tls: Tls {
            enabled: true,
            ..tls
        },
        ..plain("broker.example")
    }
}

#[test]
fn the_port_follows_encryption_and_brackets_are_for_people() {
    assert_eq!(address(&plain("broker.example")), "broker.example:1883");
    assert_eq!(address(&with_tls(Tls::default())), "broker.example:8883");
    assert_eq!(address(&plain("[::1]")), "[::1]:1883");
    assert_eq!(address(&plain("::1")), "[::1]:1883");
    let options = options(&plain("[::1]"), "tw").unwrap();
    assert_eq!(options.broker_address(), ("::1".to_owned(), 1883));
}

#[test]
fn a_connection_starts_clean_and_bounded() {
    let options = options(&plain("broker.example"), "tw-S03-reg_02-up").unwrap();
    assert!(options.clean_start());
    assert_eq!(options.client_id(), "tw-S03-reg_02-up");
    assert_eq!(options.max_packet_size(), Some(INCOMING_PACKET_BYTES));
    assert_eq!(options.connection_timeout(), CONNECT_TIMEOUT_S);
}

#[test]
fn no_host_is_absent_and_a_short_keep_alive_is_refused_before_it_panics() {
    let error = options(&Mqtt::default(), "tw").unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Absent);
    let hasty = Mqtt {
        keep_alive_s: 4,
        ..plain("broker.example")
    };
    let error = options(&hasty, "tw").unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Configuration);
    assert!(error.to_string().contains("5 to 3600"));
}

#[test]
fn the_password_file_wins_and_its_newline_is_not_part_of_it() {
    let secret = file("from-the-file\n");
    let mqtt = Mqtt {
        username: Some("till".into()),
        password: Some(Secret::new("from-the-configuration")),
        password_file: Some(secret.path().to_owned()),
        ..plain("broker.example")
    };
    let (user, password) = credentials(&mqtt).unwrap().unwrap();
    assert_eq!(
        (user.as_str(), password.as_str()),
        ("till", "from-the-file")
    );
}

#[test]
fn broken_credentials_name_file_and_remedy_and_never_the_secret() {
    let two_lines = file("secret-one\nsecret-two\n");
    let mut mqtt = Mqtt {
        username: Some("till".into()),
        password_file: Some(two_lines.path().to_owned()),
        ..plain("broker.example")
    };
    let text = credentials(&mqtt).unwrap_err().to_string();
    assert!(text.contains("more than one line") && text.contains("password_file"));
    assert!(!text.contains("secret"));

    mqtt.password_file = Some("/nowhere/password".into());
    let error = credentials(&mqtt).unwrap_err();
    assert_eq!(error.kind(), BrokerErrorKind::Files);
    assert!(error.to_string().contains("/nowhere/password"));

    mqtt.username = None;
    mqtt.password_file = None;
    mqtt.password = Some(Secret::new("x"));
    assert!(matches!(
        credentials(&mqtt),
        Err(BrokerError::PasswordWithoutUser)
    ));
}

#[test]
fn broken_certificate_files_name_file_and_remedy() {
    let no_pem = file("this is a DER file, or a shopping list");
    let error = options(
        &with_tls(Tls {
            ca_file: Some(no_pem.path().to_owned()),
            ..Tls::default()
        }),
        "tw",
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("tls.ca_file") && text.contains("BEGIN CERTIFICATE"),
        "{text}"
    );
    assert_eq!(error.kind(), BrokerErrorKind::Files);

    let garbage = file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let error = options(
        &with_tls(Tls {
            ca_file: Some(garbage.path().to_owned()),
            ..Tls::default()
        }),
        "tw",
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
}

#[test]
fn half_an_identity_is_refused() {
    let authority = authority();
    let error = options(
        &with_tls(Tls {
            ca_file: Some(authority.path().to_owned()),
            cert_file: Some(authority.path().to_owned()),
            ..Tls::default()
        }),
        "tw",
    )
    .unwrap_err();
    assert!(matches!(
        error,
        BrokerError::HalfIdentity {
            missing: FileRole::ClientKey,
            ..
        }
    ));
}

#[test]
fn a_key_with_a_passphrase_is_explained() {
    let authority = authority();
    let key =
        file("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let error = options(
        &with_tls(Tls {
            ca_file: Some(authority.path().to_owned()),
            cert_file: Some(authority.path().to_owned()),
            key_file: Some(key.path().to_owned()),
            ..Tls::default()
        }),
        "tw",
    )
    .unwrap_err();
    assert!(error.to_string().contains("openssl pkey"), "{error}");
}

/// A self-signed authority (P-256, valid until 2126), made once with
/// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 36500 -nodes`.
fn authority() -> tempfile::NamedTempFile {
    file(include_str!("authority.pem"))
}

mod explained {
    use super::*;
    use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode as Refused, DisconnectReasonCode};
    use rumqttc::v5::{ConnectionError, StateError};
    use std::io;

    fn of(error: ConnectionError) -> Trouble {
        explain(&error, "broker.example:1883")
    }

    fn system(kind: io::ErrorKind) -> Trouble {
        of(ConnectionError::Io(io::Error::from(kind)))
    }

    fn disconnect(reason_code: DisconnectReasonCode) -> Trouble {
        of(ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string: None,
        }))
    }

    #[test]
    fn every_explanation_names_the_broker_and_a_remedy() {
        for trouble in [
            system(io::ErrorKind::ConnectionRefused),
            system(io::ErrorKind::HostUnreachable),
            system(io::ErrorKind::TimedOut),
            system(io::ErrorKind::Other),
            of(ConnectionError::ConnectionRefused(
                Refused::BadUserNamePassword,
            )),
            of(ConnectionError::ConnectionRefused(Refused::NotAuthorized)),
            of(ConnectionError::ConnectionRefused(
                Refused::ServerUnavailable,
            )),
            of(ConnectionError::MqttState(StateError::ConnectionAborted)),
            of(ConnectionError::MqttState(StateError::AwaitPingResp)),
            of(ConnectionError::MqttState(StateError::Unsolicited(7))),
            disconnect(DisconnectReasonCode::SessionTakenOver),
        ] {
            let text = &trouble.text;
            assert!(text.contains("broker.example:1883"), "{text}");
            assert!(text.contains(';'), "no remedy in: {text}");
            assert!(!text.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn the_reaction_fits_the_cause() {
        let reaction = |trouble: Trouble| (trouble.word, trouble.reaction, trouble.denied);
        assert_eq!(
            reaction(system(io::ErrorKind::ConnectionRefused)),
            ("refused", Reaction::Network, false)
        );
        assert_eq!(
            reaction(of(ConnectionError::ConnectionRefused(
                Refused::BadUserNamePassword
            ))),
            ("credentials", Reaction::Setup, false)
        );
        assert_eq!(
            reaction(of(ConnectionError::ConnectionRefused(Refused::ServerBusy))),
            ("busy", Reaction::Busy, false)
        );
        assert_eq!(
            reaction(disconnect(DisconnectReasonCode::NotAuthorized)),
            ("not_authorized", Reaction::Protocol, true)
        );
        assert_eq!(
            reaction(disconnect(DisconnectReasonCode::SessionTakenOver)),
            ("taken_over", Reaction::TakenOver, false)
        );
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_named_so() {
        let error = tokio::net::lookup_host("no-such-broker.invalid:1883")
            .await
            .map(|_| ())
            .unwrap_err();
        let trouble = of(ConnectionError::Io(error));
        assert_eq!(trouble.word, "name");
        assert!(trouble.text.contains("name server"), "{}", trouble.text);
    }
}
