//! Lines through the Linux GPIO character device (uAPI v2).
//!
//! The kernel stamps edges with `CLOCK_MONOTONIC` and numbers them; its queue (16 edges per
//! line unless asked for more) drops the oldest, which the numbers reveal. Both lines of
//! a drawer are requested together when they are on one chip, so that their order is the
//! kernel's; from two chips edges are ordered by their stamps.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use gpiocdev::Request;
use gpiocdev::line::{self, EdgeDetection, EdgeEvent, EdgeKind, Value};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::line::{Bias, DrawerLines, LineConfig, LineSpec};
use super::{Edge, EdgeSource, Level, LineRole};
use crate::error::DriverError;

/// Edges the kernel is asked to keep before it drops the oldest; a drawer bounces 10–30.
const KERNEL_QUEUE: u32 = 64;
/// Who the kernel says holds the lines (`gpioinfo`).
const CONSUMER: &str = "tillwatch";

#[derive(Debug, Clone)]
struct Wanted {
    role: LineRole,
    chip: PathBuf,
    offset: u32,
    config: LineConfig,
}

#[derive(Debug)]
struct Watched {
    role: LineRole,
    offset: u32,
    last_seqno: u32,
}

/// The lines requested on one chip.
struct Group {
    request: Request,
    lines: Vec<Watched>,
    device: String,
}

/// The lines of one drawer.
pub struct GpiocdevEdges {
    groups: Vec<Group>,
    ready: VecDeque<Edge>,
}

impl std::fmt::Debug for GpiocdevEdges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpiocdevEdges")
            .field(
                "lines",
                &self.groups.iter().map(|g| &g.lines).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// Chip and offset of a line.
pub(crate) fn find(line: &LineSpec) -> Result<(PathBuf, u32), DriverError> {
    match line {
        LineSpec::Offset { chip, offset } => Ok((chip.clone(), *offset)),
        LineSpec::Name(name) => gpiocdev::find_named_line(name)
            .map(|found| (found.chip, found.info.offset))
            .ok_or_else(|| DriverError::NotFound {
                device: name.clone(),
            }),
    }
}

/// What the system said, if it was the system.
pub(crate) fn errno(error: &gpiocdev::Error) -> Option<Errno> {
    match error {
        gpiocdev::Error::Os(errno) | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(errno)) => {
            Some(Errno::from_raw(errno.0))
        }
        _ => None,
    }
}

/// An error of gpiocdev with its errno, if it has one.
pub(crate) fn error(device: &str, call: &'static str, error: gpiocdev::Error) -> DriverError {
    match errno(&error) {
        Some(errno) => DriverError::errno(device, call, errno),
        None => DriverError::Unsupported {
            device: device.to_owned(),
            what: call,
            reason: error.to_string(),
        },
    }
}

impl GpiocdevEdges {
    /// Finds and requests the lines.
    ///
    /// # Errors
    /// A line that does not exist or is in use: kind `Reopen`. One that cannot detect
    /// edges or lacks the bias asked for: kind `Fatal`.
    pub fn open(lines: &DrawerLines) -> Result<Self, DriverError> {
        let mut wanted = vec![want(LineRole::Sense, &lines.sense)?];
        if let Some(kick) = &lines.kick {
            wanted.push(want(LineRole::Kick, kick)?);
        }
        let together = wanted.iter().all(|line| line.chip == wanted[0].chip);
        let groups = if together {
            vec![Group::request(&wanted)?]
        } else {
            wanted
                .iter()
                .map(|line| Group::request(std::slice::from_ref(line)))
                .collect::<Result<_, _>>()?
        };
        Ok(Self {
            groups,
            ready: VecDeque::new(),
        })
    }
}

fn want(role: LineRole, config: &LineConfig) -> Result<Wanted, DriverError> {
    let (chip, offset) = find(&config.line)?;
    // Two names of one chip (a udev link) must not look like two chips.
    let chip = std::fs::canonicalize(&chip)
        .map_err(|source| DriverError::io(&chip.display().to_string(), "open", source))?;
    Ok(Wanted {
        role,
        chip,
        offset,
        config: config.clone(),
    })
}

impl Group {
    fn request(wanted: &[Wanted]) -> Result<Self, DriverError> {
        let device = wanted
            .iter()
            .map(|line| line.config.line.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let request = match try_request(wanted, true) {
            // A chip or kernel without debouncing: ours is enough.
            Err(_) if wanted.iter().any(|line| kernel_debounce(line).is_some()) => {
                try_request(wanted, false)
            }
            request => request,
        }
        .map_err(|cause| error(&device, "request lines", cause))?;
        Ok(Self {
            request,
            lines: wanted
                .iter()
                .map(|line| Watched {
                    role: line.role,
                    offset: line.offset,
                    last_seqno: 0,
                })
                .collect(),
            device,
        })
    }

    fn read(&mut self, ready: &mut VecDeque<Edge>) -> Result<(), DriverError> {
        loop {
            let event = self
                .request
                .read_edge_event()
                .map_err(|cause| error(&self.device, "read edge", cause))?;
            if let Some(line) = self.lines.iter_mut().find(|l| l.offset == event.offset) {
                ready.push_back(line.edge(&event));
            }
            let more = self
                .request
                .has_edge_event()
                .map_err(|cause| error(&self.device, "poll", cause))?;
            if !more {
                return Ok(());
            }
        }
    }
}

fn kernel_debounce(line: &Wanted) -> Option<Duration> {
    line.config
        .kernel_debounce
        .filter(|_| line.role == LineRole::Sense)
}

fn try_request(wanted: &[Wanted], debounce: bool) -> Result<Request, gpiocdev::Error> {
    let mut builder = Request::builder();
    builder
        .on_chip(&wanted[0].chip)
        .with_consumer(CONSUMER)
        .with_kernel_event_buffer_size(KERNEL_QUEUE);
    for line in wanted {
        builder
            .with_line(line.offset)
            .as_input()
            .with_edge_detection(EdgeDetection::BothEdges)
            .with_bias(match line.config.bias {
                Bias::AsIs => None,
                Bias::Disabled => Some(line::Bias::Disabled),
                Bias::PullUp => Some(line::Bias::PullUp),
                Bias::PullDown => Some(line::Bias::PullDown),
            });
        if line.config.active_low {
            builder.as_active_low();
        } else {
            builder.as_active_high();
        }
        if let Some(period) = kernel_debounce(line).filter(|_| debounce) {
            builder.with_debounce_period(period);
        }
    }
    builder.request()
}

impl Watched {
    fn edge(&mut self, event: &EdgeEvent) -> Edge {
        // Numbers begin at 1 with the request; the old uAPI has none and says 0.
        let lost_before = match event.line_seqno {
            0 => 0,
            seqno => seqno.wrapping_sub(self.last_seqno).wrapping_sub(1),
        };
        self.last_seqno = event.line_seqno;
        Edge {
            role: self.role,
            level: match event.kind {
                EdgeKind::Rising => Level::High,
                EdgeKind::Falling => Level::Low,
            },
            monotonic_ns: event.timestamp_ns,
            lost_before,
        }
    }
}

impl EdgeSource for GpiocdevEdges {
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, DriverError> {
        if let Some(edge) = self.ready.pop_front() {
            return Ok(Some(edge));
        }
        // Rounded up to a millisecond, or a deadline just ahead would be polled for busily.
        let timeout = PollTimeout::try_from(timeout.saturating_add(Duration::from_micros(999)))
            .unwrap_or(PollTimeout::MAX);
        let readable: Vec<bool> = {
            let mut fds: Vec<PollFd<'_>> = self
                .groups
                .iter()
                .map(|group| PollFd::new(group.request.as_fd(), PollFlags::POLLIN))
                .collect();
            match poll(&mut fds, timeout) {
                Ok(0) | Err(Errno::EINTR) => return Ok(None),
                Ok(_) => {}
                Err(errno) => {
                    return Err(DriverError::errno(&self.groups[0].device, "poll", errno));
                }
            }
            fds.iter().map(|fd| fd.any().unwrap_or(true)).collect()
        };
        for (group, _) in self.groups.iter_mut().zip(readable).filter(|(_, r)| *r) {
            group.read(&mut self.ready)?;
        }
        if self.groups.len() > 1 {
            self.ready
                .make_contiguous()
                .sort_by_key(|edge| edge.monotonic_ns);
        }
        Ok(self.ready.pop_front())
    }

    fn level(&mut self, role: LineRole) -> Result<Level, DriverError> {
        for group in &self.groups {
            if let Some(line) = group.lines.iter().find(|line| line.role == role) {
                return match group.request.value(line.offset) {
                    Ok(Value::Active) => Ok(Level::High),
                    Ok(Value::Inactive) => Ok(Level::Low),
                    Err(cause) => Err(error(&group.device, "read level", cause)),
                };
            }
        }
        Err(DriverError::Config {
            device: "kick line".to_owned(),
            reason: "not configured".to_owned(),
        })
    }

    fn has(&self, role: LineRole) -> bool {
        self.groups
            .iter()
            .any(|group| group.lines.iter().any(|line| line.role == role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_the_kernel_s_numbers_are_lost_edges() {
        let mut line = Watched {
            role: LineRole::Sense,
            offset: 17,
            last_seqno: 0,
        };
        let mut lost = |line_seqno| {
            line.edge(&EdgeEvent {
                timestamp_ns: 0,
                kind: EdgeKind::Rising,
                offset: 17,
                seqno: 0,
                line_seqno,
            })
            .lost_before
        };
        assert_eq!([lost(1), lost(2), lost(5)], [0, 0, 2]);
        // The counter wraps.
        let mut line = Watched {
            role: LineRole::Kick,
            offset: 4,
            last_seqno: u32::MAX - 1,
        };
        let mut event = EdgeEvent {
            timestamp_ns: 0,
            kind: EdgeKind::Falling,
            offset: 4,
            seqno: 0,
            line_seqno: u32::MAX,
        };
        assert_eq!(line.edge(&event).lost_before, 0);
        event.line_seqno = 1;
        assert_eq!(line.edge(&event).lost_before, 1);
    }

    #[test]
    fn a_line_that_does_not_exist_is_looked_for_again() {
        let line = LineSpec::Name("NO-SUCH-LINE".into());
        let opened = GpiocdevEdges::open(&DrawerLines {
            sense: LineConfig::new(line),
            kick: None,
        });
        let error = opened.expect_err("no such line");
        assert_eq!(error.kind(), crate::ErrorKind::Reopen);
        assert_eq!(error.to_string(), "NO-SUCH-LINE: not found");
    }
}
