//! The configuration of one register: defaults < one TOML file < environment < flags.
//!
//! [`keys`] is the one table of every key with its meaning; the commented example, the check for
//! unknown keys and the environment names come from it. [`layers`] merges and remembers where
//! each value came from. What is here is the result: plain values, checked.

pub mod cameras;
pub mod keys;
pub mod layers;
mod web;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use tillwatch_protocol::settings::{AlertPolicy, OpeningHours};
use tillwatch_protocol::{DetectionSettings, ReceiptPolicy, RegisterId, StoreCode};

pub use cameras::Camera;
pub use layers::{ConfigError, Layers, Origin};
pub use web::{LoginPolicy, Web, WebTls};

/// A secret that shows itself to nobody.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

/// Everything a register can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// This store's code at head office; `None`: events of any store are ours.
    pub store_code: Option<StoreCode>,
    /// This register; `None`: events of any register are ours.
    pub register_id: Option<RegisterId>,
    /// Whether store-wide streams and events without a register belong to this gateway.
    pub store_leader: bool,
    /// IANA time zone of the store.
    pub timezone: String,
    /// ISO 4217 code.
    pub currency: String,
    /// When the shop hands out paper.
    pub receipt_policy: ReceiptPolicy,
    /// Opening hours, `06:00-22:59`, both minutes included.
    pub opening_hours: String,
    /// Where everything is kept.
    pub data: PathBuf,
    /// The till's own events.
    pub pos: Pos,
    /// Head office.
    pub uplink: Uplink,
    /// The drawer's sense line.
    pub drawer: Drawer,
    /// The drawer's kick line.
    pub kick: Kick,
    /// The printer tap.
    pub printer: Printer,
    /// Page and API.
    pub web: Web,
    /// A listener of its own for tills.
    pub ingest: Ingest,
    /// Budgets on disk.
    pub storage: Storage,
    /// Footage around alerts.
    pub clips: Clips,
    /// The cameras by name; a camera's number is its place here.
    pub cameras: BTreeMap<String, Camera>,
    /// Thresholds and rules.
    pub detection: Detection,
    /// The program's own log.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store_code: None,
            register_id: None,
            store_leader: true,
            timezone: "UTC".into(),
            currency: "EUR".into(),
            receipt_policy: ReceiptPolicy::Always,
            opening_hours: "06:00-22:59".into(),
            data: PathBuf::from("/var/lib/tillwatch"),
            pos: Pos::default(),
            uplink: Uplink::default(),
            drawer: Drawer::default(),
            kick: Kick::default(),
            printer: Printer::default(),
            web: Web::default(),
            ingest: Ingest::default(),
            storage: Storage::default(),
            clips: Clips::default(),
            cameras: BTreeMap::new(),
            detection: Detection::default(),
            log: Log::default(),
        }
    }
}

/// The till's own events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pos {
    /// Whether to take them by MQTT (HTTP always works).
    pub enabled: bool,
    /// Other names of this store on the POS side.
    pub store_aliases: Vec<String>,
    /// Subscriptions; empty means the default five below `pos/events/`.
    pub topics: Vec<String>,
    /// The broker.
    pub mqtt: Mqtt,
}

/// Head office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uplink {
    /// Most messages in flight, 1 to 100; the broker's Receive Maximum lowers it.
    pub window: u16,
    /// Places of the window kept for the urgent lane.
    pub urgent_reserve: u16,
    /// Messages per second for the backlog of the bulk lane after an outage; 0 is unlimited.
    pub backlog_per_second: u32,
    /// Seconds between health messages.
    pub health_interval_s: u32,
    /// The broker; without a host nothing is sent and everything is kept.
    pub mqtt: Mqtt,
}

impl Default for Uplink {
    fn default() -> Self {
        Self {
            window: 50,
            urgent_reserve: 10,
            backlog_per_second: 200,
            health_interval_s: 60,
            mqtt: Mqtt::default(),
        }
    }
}

/// One MQTT 5 broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// Host name or address.
    pub host: Option<String>,
    /// Port; `None` is 1883, with TLS 8883.
    pub port: Option<u16>,
    /// User name.
    pub username: Option<String>,
    /// Password; better in `password_file`.
    pub password: Option<Secret>,
    /// File that holds the password; trailing newline ignored.
    pub password_file: Option<PathBuf>,
    /// Seconds between pings, 5 to 3600.
    pub keep_alive_s: u16,
    /// Encryption.
    pub tls: Tls,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            username: None,
            password: None,
            password_file: None,
            keep_alive_s: 30,
            tls: Tls::default(),
        }
    }
}

impl Mqtt {
    /// The port in force.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port
            .unwrap_or(if self.tls.enabled { 8883 } else { 1883 })
    }
}

/// Encryption towards a broker.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether to use it.
    pub enabled: bool,
    /// PEM file with the authorities that may sign the server's certificate.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client certificate chain.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the client key.
    pub key_file: Option<PathBuf>,
}

/// The drawer's sense line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drawer {
    /// GPIO line by name (`GPIO17`) or `chip:offset`; `None`: no drawer witness.
    pub line: Option<String>,
    /// Level that means open: `high` or `low`.
    pub open_level: LineLevel,
    /// Milliseconds until a level counts, 5 to 20.
    pub debounce_ms: u16,
    /// Pull of the input: `as-is`, `up`, `down`, `none`.
    pub bias: LineBias,
    /// `gpiocdev`, or `rppal` where it was built in.
    pub backend: GpioBackend,
}

impl Default for Drawer {
    fn default() -> Self {
        Self {
            line: None,
            open_level: LineLevel::High,
            debounce_ms: 10,
            bias: LineBias::AsIs,
            backend: GpioBackend::Gpiocdev,
        }
    }
}

/// The drawer's kick line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kick {
    /// GPIO line by name or `chip:offset`; `None`: not wired.
    pub line: Option<String>,
    /// Level during the pulse.
    pub active_level: LineLevel,
}

impl Default for Kick {
    fn default() -> Self {
        Self {
            line: None,
            active_level: LineLevel::High,
        }
    }
}

/// A level of a GPIO line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineLevel {
    /// Above the threshold.
    High,
    /// Below it.
    Low,
}

/// The pull of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineBias {
    /// As the firmware left it.
    AsIs,
    /// Pulled up.
    Up,
    /// Pulled down.
    Down,
    /// Floating.
    None,
}

/// Who reads the GPIO lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GpioBackend {
    /// The kernel's character device.
    Gpiocdev,
    /// rppal, on a Raspberry Pi.
    Rppal,
    /// Edges as text from a FIFO, for demonstrations and tests.
    Fifo,
}

/// The printer tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Printer {
    /// Serial port, best below `/dev/serial/by-id`; `None`: no printer witness.
    pub port: Option<PathBuf>,
    /// Bits per second.
    pub baud: u32,
    /// Code page before the first `ESC t`, Epson's number.
    pub code_page: u8,
    /// Two-byte encoding after `FS &`: `shift_jis`, `gb18030`, `euc-kr`, `big5`.
    pub kanji: String,
    /// Milliseconds without a byte that end a receipt.
    pub idle_ms: u32,
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            port: None,
            baud: 9_600,
            code_page: 0,
            kanji: "shift_jis".into(),
            idle_ms: 3_000,
        }
    }
}

/// A listener of its own for tills.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Where to listen; `None`: tills use the web listener.
    pub listen: Option<SocketAddr>,
    /// File with the bearer token that a till must show; needed beyond loopback.
    pub token_file: Option<PathBuf>,
}

/// Budgets on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Mebibytes for the log.
    pub log_mib: u32,
    /// Mebibytes for what could not be used.
    pub quarantine_mib: u32,
    /// Most messages that wait for head office.
    pub outbox_max: u32,
    /// Mebibytes for footage.
    pub media_mib: u32,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            log_mib: 512,
            quarantine_mib: 16,
            outbox_max: 100_000,
            media_mib: 2_048,
        }
    }
}

/// Footage around alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clips {
    /// Seconds before and after an alert.
    pub window_s: u32,
    /// Mebibytes of memory for what all cameras saw last.
    pub ring_mib: u32,
}

impl Default for Clips {
    fn default() -> Self {
        Self {
            window_s: 60,
            ring_mib: 64,
        }
    }
}

/// Thresholds and rules, in the units people use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Detection {
    /// Amounts above are of high value, in whole units of the currency.
    pub high_value_threshold: f64,
    /// Discounts above are large, in percent.
    pub discount_threshold: f64,
    /// The how-many-th alert-worthy event of one person is a repetition.
    pub repeat_staff_count: u32,
    /// Within this many seconds.
    pub repeat_staff_window_s: u32,
    /// Events above this score are alerts, whatever their type.
    pub alert_above: f64,
    /// How many alerts a day a person is asked to look at.
    pub review_queue_per_day: u32,
    /// Seconds that a drawer may stay open.
    pub left_open_s: u32,
    /// Rules that are switched off.
    pub disabled_rules: Vec<String>,
    /// Rules whose findings are kept but are no alerts.
    pub silent_rules: Vec<String>,
    /// Base scores by event type that differ from the defaults.
    pub base: BTreeMap<String, f64>,
    /// Alert policies by event type that differ from the defaults.
    pub policy: BTreeMap<String, AlertPolicy>,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            high_value_threshold: 1_000.0,
            discount_threshold: 30.0,
            repeat_staff_count: 2,
            repeat_staff_window_s: 300,
            alert_above: 0.6,
            review_queue_per_day: 20,
            left_open_s: 60,
            disabled_rules: Vec::new(),
            silent_rules: Vec::new(),
            base: BTreeMap::new(),
            policy: BTreeMap::new(),
        }
    }
}

/// The program's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter of `tracing`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
        }
    }
}

mod checked;
pub use checked::Invalid;
