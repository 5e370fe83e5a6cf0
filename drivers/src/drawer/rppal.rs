//! Lines through rppal: Raspberry Pi only, and no longer maintained; the default backend is
//! `gpiocdev`. rppal keeps one event per line, so edges that follow one another faster
//! than they are read are seen as lost.

use std::time::Duration;

use rppal::gpio::{Error, Event, Gpio, InputPin, Trigger};

use super::line::{Bias, DrawerLines, LineConfig, LineSpec};
use super::{Edge, EdgeSource, Level, LineRole};
use crate::error::DriverError;

/// The lines of one drawer through rppal.
#[derive(Debug)]
pub struct RppalEdges {
    gpio: Gpio,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    role: LineRole,
    pin: InputPin,
    active_low: bool,
    last_seqno: Option<u32>,
    device: String,
}

impl Line {
    fn open(gpio: &Gpio, role: LineRole, config: &LineConfig) -> Result<Self, DriverError> {
        let device = config.line.to_string();
        let number = bcm_number(&config.line).ok_or_else(|| DriverError::Config {
            device: device.clone(),
            reason: "rppal knows lines by their BCM number only, like GPIO17".to_owned(),
        })?;
        let pin = gpio
            .get(number)
            .map_err(|error| rppal_error(&device, "get", error))?;
        let mut pin = match config.bias {
            Bias::AsIs | Bias::Disabled => pin.into_input(),
            Bias::PullUp => pin.into_input_pullup(),
            Bias::PullDown => pin.into_input_pulldown(),
        };
        let debounce = config.kernel_debounce.filter(|_| role == LineRole::Sense);
        pin.set_interrupt(Trigger::Both, debounce)
            .map_err(|error| rppal_error(&device, "set_interrupt", error))?;
        Ok(Self {
            role,
            pin,
            active_low: config.active_low,
            last_seqno: None,
            device,
        })
    }

    fn level(&self, high: bool) -> Level {
        if high != self.active_low {
            Level::High
        } else {
            Level::Low
        }
    }

    fn edge(&mut self, event: &Event) -> Edge {
        let lost_before = self
            .last_seqno
            .replace(event.seqno)
            .map_or(0, |last| event.seqno.wrapping_sub(last).saturating_sub(1));
        Edge {
            role: self.role,
            level: self.level(event.trigger == Trigger::RisingEdge),
            monotonic_ns: u64::try_from(event.timestamp.as_nanos()).unwrap_or(u64::MAX),
            lost_before,
        }
    }
}

fn bcm_number(line: &LineSpec) -> Option<u8> {
    match line {
        LineSpec::Name(name) => name.strip_prefix("GPIO")?.parse().ok(),
        LineSpec::Offset { offset, .. } => u8::try_from(*offset).ok(),
    }
}

fn rppal_error(device: &str, call: &'static str, error: Error) -> DriverError {
    match error {
        Error::Io(source) => DriverError::io(device, call, source),
        Error::PermissionDenied(path) => DriverError::io(
            &path,
            call,
            std::io::Error::from(std::io::ErrorKind::PermissionDenied),
        ),
        other => DriverError::Unsupported {
            device: device.to_owned(),
            what: call,
            reason: other.to_string(),
        },
    }
}

impl RppalEdges {
    /// Requests the lines.
    ///
    /// # Errors
    /// Not a Raspberry Pi (kind `Fatal`), a line in use or not permitted.
    pub fn open(lines: &DrawerLines) -> Result<Self, DriverError> {
        let gpio = Gpio::new().map_err(|error| rppal_error("rppal", "open", error))?;
        let mut open = vec![Line::open(&gpio, LineRole::Sense, &lines.sense)?];
        if let Some(kick) = &lines.kick {
            open.push(Line::open(&gpio, LineRole::Kick, kick)?);
        }
        Ok(Self { gpio, lines: open })
    }
}

impl EdgeSource for RppalEdges {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, DriverError> {
        let found = {
            let pins: Vec<&InputPin> = self.lines.iter().map(|line| &line.pin).collect();
            self.gpio
                .poll_interrupts(&pins, false, Some(timeout))
                .map_err(|error| rppal_error(&self.lines[0].device, "poll", error))?
                .map(|(pin, event)| (pin.pin(), event))
        };
        Ok(found.and_then(|(number, event)| {
            let line = self
                .lines
                .iter_mut()
                .find(|line| line.pin.pin() == number)?;
            Some(line.edge(&event))
        }))
    }

    fn level(&mut self, role: LineRole) -> Result<Level, DriverError> {
        self.lines
            .iter()
            .find(|line| line.role == role)
            .map(|line| line.level(line.pin.is_high()))
            .ok_or_else(|| DriverError::Config {
                device: "kick line".to_owned(),
                reason: "not configured".to_owned(),
            })
    }

    fn has(&self, role: LineRole) -> bool {
        self.lines.iter().any(|line| line.role == role)
    }
}
