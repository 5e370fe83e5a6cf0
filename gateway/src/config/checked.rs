//! Checks that single values cannot make, and the translation into what the detectors take.

use super::{Config, DetectionSettings, Mqtt, OpeningHours};
use jiff::tz::TimeZone;
use tillwatch_protocol::pos::Percent;
use tillwatch_protocol::settings::{AlertPolicy, EventTypeSettings};
use tillwatch_protocol::{Money, Rule, Score};

/// A value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {why}")]
pub struct Invalid {
    /// The key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

pub(super) fn invalid(key: impl Into<String>, why: impl Into<String>) -> Invalid {
    Invalid {
        key: key.into(),
        why: why.into(),
    }
}

pub(super) fn between(key: &str, value: u64, low: u64, high: u64) -> Result<(), Invalid> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(invalid(
        key,
        format!("is {value}; it must lie between {low} and {high}"),
    ))
}

fn score(key: &str, value: f64) -> Result<Score, Invalid> {
    if !(0.0..=1.0).contains(&value) {
        return Err(invalid(
            key,
            format!("is {value}; a score lies between 0 and 1"),
        ));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked just above
    Ok(Score::from_milli((value * 1000.0).round() as u16))
}

impl Config {
    /// The store's zone.
    ///
    /// # Errors
    /// [`Invalid`] when it is no IANA name.
    pub fn zone(&self) -> Result<TimeZone, Invalid> {
        TimeZone::get(&self.timezone).map_err(|_| {
            invalid(
                "timezone",
                format!("`{}` is no IANA time zone", self.timezone),
            )
        })
    }

    /// Decimals of the currency's minor unit (ISO 4217).
    #[must_use]
    pub fn minor_digits(&self) -> u8 {
        match self.currency.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }

    /// What the detectors take.
    ///
    /// # Errors
    /// [`Invalid`] naming the key.
    pub fn detection_settings(&self) -> Result<DetectionSettings, Invalid> {
        let given = &self.detection;
        let mut settings = DetectionSettings {
            timezone: self.timezone.clone(),
            minor_digits: self.minor_digits(),
            receipt_policy: self.receipt_policy,
            high_value_threshold: self.threshold()?,
            discount_threshold: percent(given.discount_threshold)?,
            opening_hours: opening_hours(&self.opening_hours)?,
            repeat_staff_count: given.repeat_staff_count,
            repeat_staff_window_ms: given.repeat_staff_window_s.saturating_mul(1_000),
            alert_above: score("detection.alert_above", given.alert_above)?,
            review_queue_per_day: given.review_queue_per_day,
            disabled_rules: given
                .disabled_rules
                .iter()
                .map(|rule| Rule(rule.clone().into()))
                .collect(),
            silent_rules: given
                .silent_rules
                .iter()
                .map(|rule| Rule(rule.clone().into()))
                .collect(),
            ..DetectionSettings::default()
        };
        settings.witness.left_open_after_ms = given.left_open_s.saturating_mul(1_000);
        let other = settings.other_event_base;
        let new = EventTypeSettings {
            base: other,
            policy: AlertPolicy::ScoreOnly,
        };
        for (name, value) in &given.base {
            let base = score(&format!("detection.base.{name}"), *value)?;
            settings.event_types.entry(name.clone()).or_insert(new).base = base;
        }
        for (name, policy) in &given.policy {
            settings
                .event_types
                .entry(name.clone())
                .or_insert(new)
                .policy = *policy;
        }
        Ok(settings)
    }

    fn threshold(&self) -> Result<Money, Invalid> {
        let key = "detection.high_value_threshold";
        let text = self.detection.high_value_threshold.to_string();
        let read = Money::read_decimal(&text, self.minor_digits());
        match read {
            Some(read) if read.money.0 > 0 => Ok(read.money),
            _ => Err(invalid(
                key,
                format!("is {text}; it must be a positive amount"),
            )),
        }
    }

    /// Checks everything that a single value cannot.
    ///
    /// # Errors
    /// [`Invalid`] naming the first key that makes no sense.
    pub fn check(&self) -> Result<(), Invalid> {
        self.zone()?;
        self.detection_settings()?;
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(invalid(
                "currency",
                "must be three capital letters (ISO 4217)",
            ));
        }
        if self.data.as_os_str().is_empty() {
            return Err(invalid("data", "is empty"));
        }
        between(
            "detection.repeat_staff_count",
            u64::from(self.detection.repeat_staff_count),
            2,
            1_000,
        )?;
        between(
            "detection.repeat_staff_window_s",
            u64::from(self.detection.repeat_staff_window_s),
            1,
            86_400,
        )?;
        between(
            "detection.left_open_s",
            u64::from(self.detection.left_open_s),
            1,
            86_400,
        )?;
        between("uplink.window", u64::from(self.uplink.window), 1, 100)?;
        if self.uplink.urgent_reserve >= self.uplink.window && self.uplink.window > 1 {
            return Err(invalid(
                "uplink.urgent_reserve",
                "must be smaller than `uplink.window`",
            ));
        }
        between(
            "uplink.health_interval_s",
            u64::from(self.uplink.health_interval_s),
            5,
            3_600,
        )?;
        check_broker("pos.mqtt", &self.pos.mqtt)?;
        check_broker("uplink.mqtt", &self.uplink.mqtt)?;
        if self.pos.enabled && self.pos.mqtt.host.is_none() {
            return Err(invalid(
                "pos.mqtt.host",
                "is missing although `pos.enabled` is true; set it or MQTT_HOST",
            ));
        }
        between(
            "drawer.debounce_ms",
            u64::from(self.drawer.debounce_ms),
            5,
            20,
        )?;
        if !matches!(
            self.printer.kanji.as_str(),
            "shift_jis" | "gb18030" | "euc-kr" | "big5"
        ) {
            return Err(invalid(
                "printer.kanji",
                "must be shift_jis, gb18030, euc-kr or big5",
            ));
        }
        between("printer.baud", u64::from(self.printer.baud), 1_200, 921_600)?;
        between(
            "printer.idle_ms",
            u64::from(self.printer.idle_ms),
            500,
            60_000,
        )?;
        if self.web.tls.cert_file.is_some() != self.web.tls.key_file.is_some() {
            return Err(invalid(
                "web.tls.cert_file",
                "and `key_file` belong together; one is missing",
            ));
        }
        between(
            "web.session_hours",
            u64::from(self.web.session_hours),
            1,
            168,
        )?;
        between(
            "web.idle_minutes",
            u64::from(self.web.idle_minutes),
            1,
            1_440,
        )?;
        if let Some(listen) = self.ingest.listen
            && !listen.ip().is_loopback()
            && self.ingest.token_file.is_none()
        {
            return Err(invalid(
                "ingest.token_file",
                "is needed when `ingest.listen` is not loopback",
            ));
        }
        between(
            "storage.log_mib",
            u64::from(self.storage.log_mib),
            16,
            1_048_576,
        )?;
        between(
            "storage.quarantine_mib",
            u64::from(self.storage.quarantine_mib),
            1,
            4_096,
        )?;
        between(
            "storage.outbox_max",
            u64::from(self.storage.outbox_max),
            1_000,
            1_000_000,
        )?;
        between(
            "storage.media_mib",
            u64::from(self.storage.media_mib),
            64,
            16_777_216,
        )?;
        between("clips.window_s", u64::from(self.clips.window_s), 1, 600)?;
        between("clips.ring_mib", u64::from(self.clips.ring_mib), 8, 1_024)?;
        super::cameras::check(&self.cameras)?;
        Ok(())
    }
}

fn percent(value: f64) -> Result<Percent, Invalid> {
    let key = "detection.discount_threshold";
    match Money::read_decimal(&value.to_string(), 3) {
        Some(read) if (0..=100_000).contains(&read.money.0) => Ok(Percent(read.money.0)),
        _ => Err(invalid(
            key,
            format!("is {value}; it must lie between 0 and 100"),
        )),
    }
}

fn check_broker(section: &str, mqtt: &Mqtt) -> Result<(), Invalid> {
    between(
        &format!("{section}.keep_alive_s"),
        u64::from(mqtt.keep_alive_s),
        5,
        3_600,
    )?;
    if mqtt.host.as_deref().is_some_and(str::is_empty) {
        return Err(invalid(format!("{section}.host"), "is empty"));
    }
    if mqtt.port == Some(0) {
        return Err(invalid(format!("{section}.port"), "is 0"));
    }
    if mqtt.password.is_some() && mqtt.password_file.is_some() {
        return Err(invalid(
            format!("{section}.password"),
            "and `password_file` are both set; keep one",
        ));
    }
    if mqtt.tls.cert_file.is_some() != mqtt.tls.key_file.is_some() {
        return Err(invalid(
            format!("{section}.tls.cert_file"),
            "and `key_file` belong together; one is missing",
        ));
    }
    Ok(())
}

/// `06:00-22:59` as minutes of the day.
fn opening_hours(text: &str) -> Result<OpeningHours, Invalid> {
    let wrong = || {
        invalid(
            "opening_hours",
            format!("is `{text}`; write it as 06:00-22:59"),
        )
    };
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once(['-', '–']).ok_or_else(wrong)?;
    Ok(OpeningHours {
        from_minute: minute(from).ok_or_else(wrong)?,
        to_minute: minute(to).ok_or_else(wrong)?,
    })
}
