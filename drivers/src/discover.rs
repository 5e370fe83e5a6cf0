//! Which devices exist, and why one cannot be used.
//!
//! Discovery is apart from operation: listing opens no serial port (opening raises its
//! modem lines), requests no GPIO line and lets no camera begin. Every obstacle is one sentence with its remedy.

mod cameras;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, Gid, Group, access, isatty};

use crate::drawer::line::LineSpec;

pub use cameras::{FoundCamera, cameras, probe_camera};

/// Why a device cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It does not exist.
    #[error(
        "{device} does not exist: check that it is plugged in and spelled as the list of devices shows it"
    )]
    Missing {
        /// Path or line name.
        device: String,
    },
    /// The user may not open it.
    #[error(
        "no permission for {device}: add the user to the group {group} (usermod -aG {group} USER) and start again"
    )]
    Permission {
        /// Path.
        device: String,
        /// The group that may.
        group: String,
    },
    /// Somebody else has it.
    #[error("{device} is in use by {by}: stop that program or choose another device")]
    Busy {
        /// Path or line name.
        device: String,
        /// The program, as far as it is known.
        by: String,
    },
    /// It is something else.
    #[error("{device} is no {what}: choose one from the list of devices")]
    WrongKind {
        /// Path or line name.
        device: String,
        /// What it should have been.
        what: &'static str,
    },
    /// Anything else the system says.
    #[error("{device} cannot be opened: {reason}")]
    Other {
        /// Path or line name.
        device: String,
        /// The system's words.
        reason: String,
    },
}

/// A GPIO line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLine {
    /// Path of its chip.
    pub chip: PathBuf,
    /// Its offset on the chip.
    pub offset: u32,
    /// Its name; empty where the board gives none.
    pub name: String,
    /// Who uses it.
    pub consumer: Option<String>,
    /// Whether it can be requested.
    pub usable: Result<(), Unusable>,
}

/// A serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPort {
    /// Its device.
    pub path: PathBuf,
    /// Its name that does not depend on the order of plugging in; prefer it.
    pub by_id: Option<PathBuf>,
    /// Whether it can be opened.
    pub usable: Result<(), Unusable>,
}

/// All GPIO lines of all chips, by chip and offset. A chip that cannot be opened appears as
/// one line without a name. Empty without the `gpiocdev` feature.
pub fn gpio_lines() -> Vec<FoundLine> {
    #[cfg(feature = "gpiocdev")]
    return gpio::lines();
    #[cfg(not(feature = "gpiocdev"))]
    Vec::new()
}

/// Whether a line could be requested now.
///
/// # Errors
/// Why not. Without the `gpiocdev` feature, [`Unusable::Other`].
pub fn probe_line(line: &LineSpec) -> Result<FoundLine, Unusable> {
    #[cfg(feature = "gpiocdev")]
    return gpio::probe(line);
    #[cfg(not(feature = "gpiocdev"))]
    Err(Unusable::Other {
        device: line.to_string(),
        reason: "this build has no gpiocdev".to_owned(),
    })
}

#[cfg(feature = "gpiocdev")]
mod gpio {
    use super::{FoundLine, LineSpec, Path, PathBuf, Unusable, judge_errno};
    use crate::drawer::gpiocdev::errno;
    use gpiocdev::chip::{Chip, chips};
    use gpiocdev::line::Info;

    pub(super) fn lines() -> Vec<FoundLine> {
        let mut lines = Vec::new();
        for path in chips().unwrap_or_default() {
            match open(&path) {
                Ok(chip) => {
                    let infos = chip.line_info_iter().into_iter().flatten().flatten();
                    lines.extend(infos.map(|info| found(&path, info)));
                }
                Err(reason) => lines.push(FoundLine {
                    chip: path,
                    offset: 0,
                    name: String::new(),
                    consumer: None,
                    usable: Err(reason),
                }),
            }
        }
        lines
    }

    pub(super) fn probe(line: &LineSpec) -> Result<FoundLine, Unusable> {
        let found = match line {
            LineSpec::Offset { chip, offset } => {
                let info = open(chip)?
                    .line_info(*offset)
                    .map_err(|_| Unusable::Missing {
                        device: line.to_string(),
                    })?;
                found(chip, info)
            }
            LineSpec::Name(name) => {
                let lines = lines();
                match lines.iter().find(|line| line.name == *name) {
                    Some(found) => found.clone(),
                    // Perhaps on a chip that may not be looked into.
                    None => {
                        let closed = lines.into_iter().find_map(|line| match line.usable {
                            Err(reason @ Unusable::Permission { .. }) => Some(reason),
                            _ => None,
                        });
                        return Err(closed.unwrap_or_else(|| Unusable::Missing {
                            device: name.clone(),
                        }));
                    }
                }
            }
        };
        found.usable.clone().map(|()| found)
    }

    fn open(path: &Path) -> Result<Chip, Unusable> {
        Chip::from_path(path).map_err(|error| match errno(&error) {
            Some(errno) => judge_errno(path, errno),
            None => Unusable::WrongKind {
                device: path.display().to_string(),
                what: "GPIO chip",
            },
        })
    }

    fn found(chip: &Path, info: Info) -> FoundLine {
        let device = if info.name.is_empty() {
            format!("{}:{}", chip.display(), info.offset)
        } else {
            info.name.clone()
        };
        let consumer = (!info.consumer.is_empty()).then_some(info.consumer);
        let usable = if info.used {
            Err(Unusable::Busy {
                device,
                by: consumer.clone().unwrap_or_else(|| "the kernel".to_owned()),
            })
        } else {
            Ok(())
        };
        FoundLine {
            chip: PathBuf::from(chip),
            offset: info.offset,
            name: info.name,
            consumer,
            usable,
        }
    }
}

/// All serial ports with hardware behind them, by name.
pub fn serial_ports() -> Vec<FoundPort> {
    ports_below(Path::new("/sys/class/tty"), Path::new("/dev"))
}

/// The stable names in a folder of links, by the device each stands for.
fn stable_names(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    entries(folder)
        .filter_map(|link| Some((fs::canonicalize(&link).ok()?, link)))
        .collect()
}

fn ports_below(sys: &Path, dev: &Path) -> Vec<FoundPort> {
    let by_id = stable_names(&dev.join("serial/by-id"));
    let mut ports: Vec<FoundPort> = entries(sys)
        // Consoles and pseudo-terminals have no driver of a device behind them.
        .filter(|entry| entry.join("device/driver").exists())
        // A slot of the 8250 driver without a chip has type 0.
        .filter(|entry| {
            fs::read_to_string(entry.join("type")).map_or(true, |kind| kind.trim() != "0")
        })
        .filter_map(|entry| {
            let path = dev.join(entry.file_name()?);
            Some(FoundPort {
                by_id: fs::canonicalize(&path)
                    .ok()
                    .and_then(|device| by_id.get(&device).cloned()),
                usable: look_at(&path, PORT),
                path,
            })
        })
        .collect();
    ports.sort_by(|one, other| one.path.cmp(&other.path));
    ports
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// Whether a port could be opened now. Opens it for a moment, which raises its modem lines.
///
/// # Errors
/// Why not.
pub fn probe_port(path: &Path) -> Result<(), Unusable> {
    look_at(path, PORT)?;
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let port = open(path, flags, Mode::empty()).map_err(|errno| judge_errno(path, errno))?;
    match isatty(&port) {
        Ok(true) => Ok(()),
        _ => Err(wrong_kind(path, PORT)),
    }
}

const PORT: &str = "serial port";

/// What can be said about a device without opening it.
fn look_at(path: &Path, what: &'static str) -> Result<(), Unusable> {
    let metadata = fs::metadata(path).map_err(|error| judge_io(path, &error))?;
    if !metadata.file_type().is_char_device() {
        return Err(wrong_kind(path, what));
    }
    access(path, AccessFlags::R_OK | AccessFlags::W_OK)
        .map_err(|errno| judge_errno(path, errno))?;
    match holder(path) {
        Some(by) => Err(Unusable::Busy {
            device: path.display().to_string(),
            by,
        }),
        None => Ok(()),
    }
}

fn wrong_kind(path: &Path, what: &'static str) -> Unusable {
    Unusable::WrongKind {
        device: path.display().to_string(),
        what,
    }
}

fn judge_io(path: &Path, error: &std::io::Error) -> Unusable {
    match error.raw_os_error() {
        Some(errno) => judge_errno(path, Errno::from_raw(errno)),
        None => Unusable::Other {
            device: path.display().to_string(),
            reason: error.to_string(),
        },
    }
}

fn judge_errno(path: &Path, errno: Errno) -> Unusable {
    let device = path.display().to_string();
    match errno {
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => Unusable::Missing { device },
        Errno::EACCES | Errno::EPERM => Unusable::Permission {
            group: group_of(path),
            device,
        },
        Errno::EBUSY => Unusable::Busy {
            by: holder(path).unwrap_or_else(|| "another program".to_owned()),
            device,
        },
        other => Unusable::Other {
            device,
            reason: other.desc().to_owned(),
        },
    }
}

/// The group a device belongs to, by name where it has one.
fn group_of(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return "dialout".to_owned();
    };
    let gid = metadata.gid();
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => group.name,
        _ => gid.to_string(),
    }
}

/// A process that has the device open, as far as this user may look.
fn holder(path: &Path) -> Option<String> {
    let device = fs::canonicalize(path).ok()?;
    entries(Path::new("/proc")).find_map(|process| {
        let pid: u32 = process.file_name()?.to_str()?.parse().ok()?;
        let holds = entries(&process.join("fd"))
            .any(|fd| fs::read_link(fd).is_ok_and(|target| target == device));
        holds.then(|| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            format!("{} (process {pid})", name.trim())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn ports_are_those_with_hardware_and_carry_their_stable_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        let by_id = dev.join("serial/by-id");
        fs::create_dir_all(&by_id).expect("a folder");
        for (name, driver, kind) in [
            ("ttyUSB0", true, None),
            ("ttyS0", true, Some("4\n")),
            ("ttyS1", true, Some("0\n")),
            ("tty1", false, None),
        ] {
            let entry = sys.join(name);
            let below = if driver { "device/driver" } else { "power" };
            fs::create_dir_all(entry.join(below)).expect("a folder");
            if let Some(kind) = kind {
                fs::write(entry.join("type"), kind).expect("a file");
            }
            fs::write(dev.join(name), b"").expect("a file");
        }
        let stable = by_id.join("usb-FTDI_FT232R_A12345-if00-port0");
        symlink("../../ttyUSB0", &stable).expect("a link");

        let ports = ports_below(&sys, &dev);
        let names: Vec<_> = ports.iter().map(|port| (&port.path, &port.by_id)).collect();
        assert_eq!(
            names,
            [
                (&dev.join("ttyS0"), &None),
                (&dev.join("ttyUSB0"), &Some(stable))
            ]
        );
        assert!(matches!(ports[0].usable, Err(Unusable::WrongKind { .. })));
    }

    #[test]
    fn obstacles_are_told_in_one_sentence() {
        let missing = probe_port(Path::new("/dev/ttyNONE")).expect_err("missing");
        assert_eq!(
            missing.to_string(),
            "/dev/ttyNONE does not exist: check that it is plugged in and spelled as the list \
             of devices shows it"
        );
        let null = probe_port(Path::new("/dev/null")).map_err(|error| match error {
            // Somebody always has /dev/null open.
            Unusable::Busy { device, .. } => device,
            other => other.to_string(),
        });
        assert_eq!(null, Err("/dev/null".to_owned()));
        let group = judge_errno(Path::new("/dev/null"), Errno::EACCES);
        assert!(
            matches!(&group, Unusable::Permission { group, .. } if group == "root"),
            "{group}"
        );
    }

    #[test]
    fn the_program_that_holds_a_device_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("held");
        let file = fs::File::create(&path).expect("a file");
        let pid = format!("(process {})", std::process::id());
        assert!(holder(&path).is_some_and(|by| by.ends_with(&pid)));
        drop(file);
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn a_line_that_does_not_exist_is_missing() {
        let probed = probe_line(&LineSpec::Name("NO-SUCH-LINE".into()));
        assert!(probed.is_err());
    }
}
