//! Every key of the configuration with its meaning. The commented example, the check for unknown
//! keys and the reading of environment values come from this table.

use super::Config;
use std::fmt::Write as _;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A secret: text that is never shown.
    Secret,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list of texts; in the environment separated by commas.
    List,
    /// A table of its own: any key below is allowed.
    Table,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path.
    pub path: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What it means, one or more lines.
    pub meaning: &'static str,
    /// What to show where there is no default.
    pub example: &'static str,
}

const fn key(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        meaning,
        example: "",
    }
}

const fn unset(
    path: &'static str,
    kind: Kind,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        path,
        kind,
        meaning,
        example,
    }
}

/// All keys, in the order of the example file.
pub const KEYS: &[Key] = &[
    unset(
        "store_code",
        Kind::Text,
        "\"S03\"",
        "This store's code at head office. Without it, events of any store are ours.\nEnvironment: STORE_CODE.",
    ),
    unset(
        "register_id",
        Kind::Text,
        "\"reg_02\"",
        "This register. Without it, events of any register are ours.\nEnvironment: REGISTER_ID.",
    ),
    key(
        "store_leader",
        Kind::Switch,
        "Whether events without a register and store-wide streams belong to this gateway.",
    ),
    key("timezone", Kind::Text, "IANA time zone of the store."),
    key("currency", Kind::Text, "ISO 4217 code of the currency."),
    key(
        "receipt_policy",
        Kind::Text,
        "When the shop hands out paper: \"always\", \"on_request\" or \"never\".",
    ),
    key(
        "opening_hours",
        Kind::Text,
        "Opening hours in local time, both minutes included.",
    ),
    key(
        "data",
        Kind::Text,
        "Where everything is kept. Environment: DB_PATH; flag: --data.",
    ),
    key(
        "pos.enabled",
        Kind::Switch,
        "Whether to take the till's events by MQTT (HTTP always works). Flag: --enable-pos.",
    ),
    key(
        "pos.store_aliases",
        Kind::List,
        "Other names of this store on the POS side, for example [\"store_001\"].",
    ),
    key(
        "pos.topics",
        Kind::List,
        "Subscriptions; empty means discount, void, refund, drawer and general below pos/events/.",
    ),
    unset(
        "pos.mqtt.host",
        Kind::Text,
        "\"192.0.2.10\"",
        "The POS side's broker. Environment: MQTT_HOST, unless it is set here.",
    ),
    unset(
        "pos.mqtt.port",
        Kind::Integer,
        "1883",
        "Its port: 1883, with TLS 8883. Environment: MQTT_PORT.",
    ),
    unset(
        "pos.mqtt.username",
        Kind::Text,
        "\"tillwatch\"",
        "User name. Environment: MQTT_USERNAME or MQTT_USER.",
    ),
    unset(
        "pos.mqtt.password",
        Kind::Secret,
        "\"\"",
        "Password; better in password_file. Environment: MQTT_PASSWORD or MQTT_PASS.",
    ),
    unset(
        "pos.mqtt.password_file",
        Kind::Text,
        "\"/etc/tillwatch/pos-password\"",
        "File that holds the password.",
    ),
    key(
        "pos.mqtt.keep_alive_s",
        Kind::Integer,
        "Seconds between pings, 5 to 3600.",
    ),
    key("pos.mqtt.tls.enabled", Kind::Switch, "Whether to encrypt."),
    unset(
        "pos.mqtt.tls.ca_file",
        Kind::Text,
        "\"/etc/tillwatch/pos-ca.pem\"",
        "Authorities that may sign the broker's certificate (PEM).",
    ),
    unset(
        "pos.mqtt.tls.cert_file",
        Kind::Text,
        "\"/etc/tillwatch/pos-client.pem\"",
        "Client certificate chain (PEM).",
    ),
    unset(
        "pos.mqtt.tls.key_file",
        Kind::Text,
        "\"/etc/tillwatch/pos-client.key\"",
        "Client key (PEM).",
    ),
    key(
        "uplink.window",
        Kind::Integer,
        "Most messages in flight towards head office, 1 to 100.",
    ),
    key(
        "uplink.urgent_reserve",
        Kind::Integer,
        "Places of the window that are kept for alerts.",
    ),
    key(
        "uplink.backlog_per_second",
        Kind::Integer,
        "Messages per second for the backlog after an outage; 0 is unlimited.",
    ),
    key(
        "uplink.health_interval_s",
        Kind::Integer,
        "Seconds between health messages, 5 to 3600.",
    ),
    unset(
        "uplink.mqtt.host",
        Kind::Text,
        "\"mqtt.example.com\"",
        "Head office's broker. Without one nothing is sent and everything is kept.\nEnvironment: MQTT_HOST, unless it is set here.",
    ),
    unset(
        "uplink.mqtt.port",
        Kind::Integer,
        "8883",
        "Its port: 1883, with TLS 8883. Environment: MQTT_PORT.",
    ),
    unset(
        "uplink.mqtt.username",
        Kind::Text,
        "\"S03-reg_02\"",
        "User name. Environment: MQTT_USERNAME or MQTT_USER.",
    ),
    unset(
        "uplink.mqtt.password",
        Kind::Secret,
        "\"\"",
        "Password; better in password_file. Environment: MQTT_PASSWORD or MQTT_PASS.",
    ),
    unset(
        "uplink.mqtt.password_file",
        Kind::Text,
        "\"/etc/tillwatch/uplink-password\"",
        "File that holds the password.",
    ),
    key(
        "uplink.mqtt.keep_alive_s",
        Kind::Integer,
        "Seconds between pings, 5 to 3600.",
    ),
    key(
        "uplink.mqtt.tls.enabled",
        Kind::Switch,
        "Whether to encrypt.",
    ),
    unset(
        "uplink.mqtt.tls.ca_file",
        Kind::Text,
        "\"/etc/tillwatch/ca.pem\"",
        "Authorities that may sign the broker's certificate (PEM).",
    ),
    unset(
        "uplink.mqtt.tls.cert_file",
        Kind::Text,
        "\"/etc/tillwatch/client.pem\"",
        "Client certificate chain (PEM).",
    ),
    unset(
        "uplink.mqtt.tls.key_file",
        Kind::Text,
        "\"/etc/tillwatch/client.key\"",
        "Client key (PEM).",
    ),
    unset(
        "drawer.line",
        Kind::Text,
        "\"GPIO17\"",
        "GPIO line of the drawer's sense switch, by name or chip:offset. Without it there is no drawer witness.",
    ),
    key(
        "drawer.open_level",
        Kind::Text,
        "Level that means open: \"high\" or \"low\". Both exist in the field.",
    ),
    key(
        "drawer.debounce_ms",
        Kind::Integer,
        "Milliseconds until a level counts, 5 to 20.",
    ),
    key(
        "drawer.bias",
        Kind::Text,
        "Pull of the input: \"as-is\", \"up\", \"down\" or \"none\".",
    ),
    key(
        "drawer.backend",
        Kind::Text,
        "\"gpiocdev\", or \"rppal\" where it was built in; \"fifo\" reads edges as text from the FIFO that drawer.line names (for tests).",
    ),
    unset(
        "kick.line",
        Kind::Text,
        "\"GPIO27\"",
        "GPIO line of the drawer's kick pulse. Without it forced openings are judged by the printer's wire alone.",
    ),
    key(
        "kick.active_level",
        Kind::Text,
        "Level during the pulse: \"high\" or \"low\".",
    ),
    unset(
        "printer.port",
        Kind::Text,
        "\"/dev/serial/by-id/usb-FTDI_FT232R-if00-port0\"",
        "Serial port of the printer tap. Without it there is no printer witness.",
    ),
    key("printer.baud", Kind::Integer, "Bits per second."),
    key(
        "printer.code_page",
        Kind::Integer,
        "Code page before the first ESC t, in Epson's numbering (0 is 437).",
    ),
    key(
        "printer.kanji",
        Kind::Text,
        "Two-byte encoding after FS &: \"shift_jis\", \"gb18030\", \"euc-kr\" or \"big5\".",
    ),
    key(
        "printer.idle_ms",
        Kind::Integer,
        "Milliseconds without a byte that end a receipt, 500 to 60000.",
    ),
    key(
        "web.listen",
        Kind::Text,
        "Where page and API listen; loopback only. Flag: --listen.",
    ),
    unset(
        "ingest.listen",
        Kind::Text,
        "\"192.0.2.20:8081\"",
        "A listener of its own for tills that post their events over the network.",
    ),
    unset(
        "ingest.token_file",
        Kind::Text,
        "\"/etc/tillwatch/ingest-token\"",
        "File with the bearer token that a till must show there; needed beyond loopback.",
    ),
    key(
        "storage.log_mib",
        Kind::Integer,
        "Mebibytes for the log, 16 or more.",
    ),
    key(
        "storage.quarantine_mib",
        Kind::Integer,
        "Mebibytes for input that could not be used, 1 or more.",
    ),
    key(
        "storage.outbox_max",
        Kind::Integer,
        "Most messages that wait for head office, 1000 or more.",
    ),
    key(
        "clips.window_s",
        Kind::Integer,
        "Seconds of footage before and after an alert. Environment: CORRELATION_WINDOW.",
    ),
    key(
        "detection.high_value_threshold",
        Kind::Number,
        "Amounts above are of high value, in whole units of the currency.\nEnvironment: HIGH_VALUE_THRESHOLD.",
    ),
    key(
        "detection.discount_threshold",
        Kind::Number,
        "Discounts above are large, in percent. Environment: DISCOUNT_THRESHOLD.",
    ),
    key(
        "detection.repeat_staff_count",
        Kind::Integer,
        "The how-many-th alert-worthy event of one person is a repetition, 2 or more.",
    ),
    key(
        "detection.repeat_staff_window_s",
        Kind::Integer,
        "Within this many seconds.",
    ),
    key(
        "detection.alert_above",
        Kind::Number,
        "Events above this score are alerts, whatever their type, 0 to 1.",
    ),
    key(
        "detection.review_queue_per_day",
        Kind::Integer,
        "How many alerts a day a person is asked to look at.",
    ),
    key(
        "detection.left_open_s",
        Kind::Integer,
        "Seconds that the drawer may stay open.",
    ),
    key(
        "detection.disabled_rules",
        Kind::List,
        "Rules that are switched off, for example [\"drawer_left_open\"].",
    ),
    key(
        "detection.silent_rules",
        Kind::List,
        "Rules whose findings are kept but are no alerts.",
    ),
    unset(
        "detection.base",
        Kind::Table,
        "{ void_transaction = 0.4 }",
        "Base scores by event type, 0 to 1, where they differ from the built-in ones.\nNew types may be added here.",
    ),
    unset(
        "detection.policy",
        Kind::Table,
        "{ price_override = \"always\" }",
        "When a type is an alert: \"always\", \"over_discount_threshold\", \"high_value\" or \"score_only\".",
    ),
    key(
        "log.level",
        Kind::Text,
        "error, warn, info, debug or trace.",
    ),
];

/// The key with this path, also for keys inside a table.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        key.path == path
            || (key.kind == Kind::Table
                && path
                    .strip_prefix(key.path)
                    .is_some_and(|rest| rest.starts_with('.')))
    })
}

/// The known path that `path` was probably meant to be.
#[must_use]
pub fn suggestion(path: &str) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or(path);
    KEYS.iter()
        .map(|key| {
            let whole = strsim::jaro_winkler(path, key.path);
            let tail = strsim::jaro_winkler(last, key.path.rsplit('.').next().unwrap_or(key.path));
            (whole.max(tail), key.path)
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, path)| path)
}

/// A value as TOML, flat by dotted path.
#[must_use]
pub fn flatten(table: &toml::Table) -> Vec<(String, toml::Value)> {
    fn walk(prefix: &str, table: &toml::Table, out: &mut Vec<(String, toml::Value)>) {
        for (name, value) in table {
            let path = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}.{name}")
            };
            match value {
                toml::Value::Table(inner) => walk(&path, inner, out),
                value => out.push((path, value.clone())),
            }
        }
    }
    let mut out = Vec::new();
    walk("", table, &mut out);
    out
}

/// The commented example: every key at its default, commented out.
#[must_use]
pub fn example() -> String {
    let defaults = toml::Table::try_from(Config::default()).unwrap_or_default();
    let defaults = flatten(&defaults);
    let mut text = String::from(
        "# Tillwatch, one register. Every key with its default; an empty file is valid.\n\
         # Environment: TILLWATCH_SECTION__KEY (TILLWATCH_POS__MQTT__HOST), and the short names given below.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (here, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if here != section {
            section = here;
            let _ = writeln!(text, "\n[{section}]");
        }
        for line in key.meaning.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let default = defaults
            .iter()
            .find(|(path, _)| path == key.path)
            .map(|(_, value)| value.to_string());
        let value = default.unwrap_or_else(|| key.example.to_owned());
        let _ = writeln!(text, "#{name} = {value}");
    }
    text
}
