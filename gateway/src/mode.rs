//! What was given on the command line, and which gateway that means on this machine: the
//! configured register, or one without a configuration. For those who start one and for commands
//! about one that runs.

use crate::config::layers::Given;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Value;

/// Where a register keeps its configuration.
pub const CONFIG_DIR: &str = "/etc/tillwatch";
/// Its name there.
pub const CONFIG_FILE: &str = "tillwatch.toml";
/// What was asked for on the command line.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--enable-pos`.
    pub enable_pos: bool,
    /// `--simulate-pos`.
    pub simulate_pos: bool,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
}

/// How the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As configured.
    Register,
    /// A whole simulated register.
    Demo,
    /// No configuration, real POS events only.
    PosOnly,
    /// Only the simulated till.
    Publisher,
}

/// A register whose configuration is lost must not invent anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{CONFIG_DIR} exists but {CONFIG_FILE} is not in it; put it back, or name a file with --config"
)]
pub struct ConfigLost;

/// Which mode the options mean on this machine.
///
/// # Errors
/// [`ConfigLost`] where a register lost its configuration.
pub fn mode(options: &Options, config_dir: &Path) -> Result<(Mode, Option<PathBuf>), ConfigLost> {
    if options.simulate_pos && !options.enable_pos {
        return Ok((Mode::Publisher, options.config.clone()));
    }
    if let Some(path) = &options.config {
        return Ok((Mode::Register, Some(path.clone())));
    }
    if config_dir.exists() {
        let path = config_dir.join(CONFIG_FILE);
        return if path.exists() {
            Ok((Mode::Register, Some(path)))
        } else {
            Err(ConfigLost)
        };
    }
    Ok((
        if options.enable_pos {
            Mode::PosOnly
        } else {
            Mode::Demo
        },
        None,
    ))
}

/// Flags and the environment, over `file` and what the demo chooses.
#[must_use]
pub fn given(options: &Options, file: Option<PathBuf>, demo: Vec<(String, Value)>) -> Given {
    let mut flags = Vec::new();
    if options.enable_pos {
        flags.push((
            "pos.enabled".to_owned(),
            Value::Boolean(true),
            "--enable-pos",
        ));
    }
    if let Some(data) = &options.data {
        flags.push((
            "data".to_owned(),
            Value::String(data.display().to_string()),
            "--data",
        ));
    }
    if let Some(listen) = options.listen {
        flags.push((
            "web.listen".to_owned(),
            Value::String(listen.to_string()),
            "--listen",
        ));
    }
    Given {
        file,
        environment: std::env::vars().collect(),
        flags,
        demo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::default()
    }

    #[test]
    fn without_anything_it_is_a_demo() {
        let nowhere = Path::new("/nonexistent/tillwatch");
        assert_eq!(mode(&options(), nowhere).unwrap(), (Mode::Demo, None));
        let pos = Options {
            enable_pos: true,
            ..options()
        };
        assert_eq!(mode(&pos, nowhere).unwrap(), (Mode::PosOnly, None));
        let both = Options {
            enable_pos: true,
            simulate_pos: true,
            ..options()
        };
        assert_eq!(mode(&both, nowhere).unwrap(), (Mode::PosOnly, None));
        let publisher = Options {
            simulate_pos: true,
            ..options()
        };
        assert_eq!(mode(&publisher, nowhere).unwrap(), (Mode::Publisher, None));
    }

    #[test]
    fn a_till_that_lost_its_configuration_does_not_become_a_demo() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(mode(&options(), folder.path()), Err(ConfigLost));
        let path = folder.path().join(CONFIG_FILE);
        std::fs::write(&path, "").unwrap();
        assert_eq!(
            mode(&options(), folder.path()).unwrap(),
            (Mode::Register, Some(path))
        );
    }
}
