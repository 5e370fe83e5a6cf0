//! How a GPIO line is named in a configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::DriverError;

/// A line by its name, or by chip and offset. Names are the stable ones: on a Raspberry Pi
/// 5 the header's chip changed its number between kernels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LineSpec {
    /// `GPIO17`.
    Name(String),
    /// `gpiochip0:17` or `/dev/gpiochip0:17`.
    Offset {
        /// Path of the chip.
        chip: PathBuf,
        /// Offset on it.
        offset: u32,
    },
}

impl FromStr for LineSpec {
    type Err = DriverError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DriverError::Config {
            device: text.to_owned(),
            reason: "a line is named like GPIO17 or gpiochip0:17".to_owned(),
        };
        match text.rsplit_once(':') {
            None if text.is_empty() || text.contains(char::is_whitespace) => Err(wrong()),
            None => Ok(Self::Name(text.to_owned())),
            Some(("", _)) => Err(wrong()),
            Some((chip, offset)) => Ok(Self::Offset {
                chip: if chip.starts_with('/') {
                    PathBuf::from(chip)
                } else {
                    PathBuf::from("/dev").join(chip)
                },
                offset: offset.parse().map_err(|_| wrong())?,
            }),
        }
    }
}

impl fmt::Display for LineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Offset { chip, offset } => write!(f, "{}:{offset}", chip.display()),
        }
    }
}

/// Resistor that holds an open input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bias {
    /// As the board has it.
    #[default]
    AsIs,
    /// None.
    Disabled,
    /// To the supply.
    PullUp,
    /// To ground.
    PullDown,
}

/// How a line is requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineConfig {
    /// Which line.
    pub line: LineSpec,
    /// Its bias.
    pub bias: Bias,
    /// Report the level inverted.
    pub active_low: bool,
    /// Let the kernel filter bounce shorter than this (sense line only; our own debouncing
    /// stays in force). It delays the timestamps by as much, so it is off by default and
    /// meant for lines whose noise would overflow the kernel's queue of edges.
    pub kernel_debounce: Option<std::time::Duration>,
}

impl LineConfig {
    /// As the board has it, not inverted.
    pub fn new(line: LineSpec) -> Self {
        Self {
            line,
            bias: Bias::default(),
            active_low: false,
            kernel_debounce: None,
        }
    }
}

/// The lines of one drawer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawerLines {
    /// The sense switch.
    pub sense: LineConfig,
    /// The kick, where it is wired.
    pub kick: Option<LineConfig>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_named_or_numbered() -> Result<(), DriverError> {
        assert_eq!(
            "GPIO17".parse::<LineSpec>()?,
            LineSpec::Name("GPIO17".into())
        );
        let numbered = LineSpec::Offset {
            chip: "/dev/gpiochip0".into(),
            offset: 17,
        };
        assert_eq!("gpiochip0:17".parse::<LineSpec>()?, numbered);
        assert_eq!("/dev/gpiochip0:17".parse::<LineSpec>()?, numbered);
        assert_eq!(numbered.to_string(), "/dev/gpiochip0:17");
        for wrong in [
            "",
            "GPIO 17",
            ":17",
            "gpiochip0:",
            "gpiochip0:-1",
            "gpiochip0:x",
        ] {
            assert!(wrong.parse::<LineSpec>().is_err(), "{wrong}");
        }
        Ok(())
    }
}
