//! Encryption and access: what works, and the sentence that says what does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod mosquitto;
mod uplink_harness;

use mosquitto::Mosquitto;
use std::path::{Path, PathBuf};
use std::process::Command;
use tillwatch::config::{Config, Mqtt, Secret};
use uplink_harness::Gateway;

/// Runs openssl, which must be installed.
fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .output()
        .expect("openssl must be installed: apt-get install openssl");
    assert!(
        output.status.success(),
        "openssl {arguments}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/// An authority `{name}.pem` with `{name}.key`.
fn authority(dir: &Path, name: &str) {
    openssl(
        dir,
        &format!("req -x509 {KEY} -days 30 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
    );
}

/// A certificate `{name}.pem` with `{name}.key` by an authority.
fn certificate(dir: &Path, authority: &str, name: &str, subject_alternatives: &str, days: i32) {
    std::fs::write(
        dir.join("extensions"),
        format!("subjectAltName={subject_alternatives}\n"),
    )
    .unwrap();
    openssl(
        dir,
        &format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
    );
    openssl(
        dir,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -days {days} -extfile extensions -out {name}.pem"
        ),
    );
}

/// A broker with TLS, and a folder with everybody's certificates.
struct Pki {
    broker: Mosquitto,
    dir: PathBuf,
}

fn broker(extra: &str, days: i32) -> Pki {
    let mut dir = PathBuf::new();
    let tls = "certfile {dir}/server.pem\nkeyfile {dir}/server.key\ncafile {dir}/ca.pem\n";
    let broker = Mosquitto::start_with(&format!("{tls}{extra}"), |here| {
        authority(here, "ca");
        authority(here, "stranger");
        certificate(here, "ca", "server", "IP:127.0.0.1", days);
        certificate(here, "ca", "till", "DNS:till", 30);
        dir = here.to_owned();
    });
    Pki { broker, dir }
}

impl Pki {
    fn gateway(&self, change: impl FnOnce(&mut Mqtt, &Path)) -> Gateway {
        let change = |config: &mut Config| {
            let mqtt = &mut config.uplink.mqtt;
            mqtt.tls.enabled = true;
            mqtt.tls.ca_file = Some(self.dir.join("ca.pem"));
            change(mqtt, &self.dir);
        };
        Gateway::new(self.broker.port(), change).start()
    }
}

fn with_certificate(mqtt: &mut Mqtt, dir: &Path) {
    mqtt.tls.cert_file = Some(dir.join("till.pem"));
    mqtt.tls.key_file = Some(dir.join("till.key"));
}

#[track_caller]
fn says(why: &str, words: &[&str]) {
    for word in words {
        assert!(why.contains(word), "{word:?} is not in: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_certificate_is_checked() {
    let pki = broker("", 30);
    pki.gateway(|_, _| ()).connected().await;

    let stranger = pki.gateway(|mqtt, dir| mqtt.tls.ca_file = Some(dir.join("stranger.pem")));
    says(&stranger.down().await, &["do not trust", "tls.ca_file"]);

    let other_name = pki.gateway(|mqtt, _| mqtt.host = Some("localhost".into()));
    says(&other_name.down().await, &["for another name", "mqtt.host"]);

    let plain = pki.gateway(|mqtt, _| mqtt.tls.enabled = false);
    says(&plain.down().await, &["tls.enabled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_named_so() {
    let pki = broker("", -1);
    let gateway = pki.gateway(|_, _| ());
    says(&gateway.down().await, &["has expired", "clock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_may_want_our_certificate() {
    let pki = broker("require_certificate true", 30);
    pki.gateway(with_certificate).connected().await;
    let nobody = pki.gateway(|_, _| ());
    says(
        &nobody.down().await,
        &["client certificate", "tls.cert_file"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_somebody_else_is_found_before_connecting() {
    let pki = broker("", 30);
    let gateway = pki.gateway(|mqtt, dir| {
        with_certificate(mqtt, dir);
        mqtt.tls.key_file = Some(dir.join("server.key"));
    });
    says(
        &gateway.down().await,
        &["does not fit", "till.pem", "server.key"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_towards_a_broker_without_it_is_named_so() {
    let broker = Mosquitto::start("");
    let gateway = Gateway::new(broker.port(), |config| {
        config.uplink.mqtt.tls.enabled = true;
    })
    .start();
    let why = gateway.down().await;
    says(&why, &["127.0.0.1"]);
    assert!(
        why.contains("TLS") || why.contains("authorities") || why.contains("tls.enabled"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_checked_and_a_new_password_file_is_read_again() {
    let broker = Mosquitto::start_with(
        "allow_anonymous false\npassword_file {dir}/passwords\n",
        |dir| {
            let output = Command::new("mosquitto_passwd")
                .args(["-c", "-b", "passwords", "till", "right"])
                .current_dir(dir)
                .output()
                .unwrap();
            assert!(output.status.success());
        },
    );
    let wrong = Gateway::new(broker.port(), |config| {
        config.uplink.mqtt.username = Some("till".into());
        config.uplink.mqtt.password = Some(Secret::new("wrong"));
    })
    .start();
    let why = wrong.down().await;
    assert!(!why.contains("wrong"), "the secret is in: {why}");
    assert!(
        why.contains("password") || why.contains("access list"),
        "{why}"
    );
    wrong.configure(|config| config.uplink.mqtt.password = Some(Secret::new("right")));
    wrong.connected().await;
}
