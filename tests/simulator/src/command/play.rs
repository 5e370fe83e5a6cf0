//! `play`: the timeline on standard error, bytes to a line, events of the till as JSON lines.

use super::CommandError;
use clap::Args;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillwatch_simulator::timeline::PrintJob;
use tillwatch_simulator::{
    Action, Day, Device, Happened, Line, Player, Playing, PrinterPort, Register, Run, Story,
    SystemClock, What, Wiring,
};

/// What to play, and where to.
#[derive(Debug, Args)]
pub struct Play {
    /// The story to play; without it, the demo day of five stories.
    #[arg(long, value_name = "NAME", conflicts_with = "day")]
    story: Option<String>,
    /// Play the demo day (the default).
    #[arg(long)]
    day: bool,
    /// The terminal or file that printer bytes are written to, such as /dev/ttyUSB1.
    #[arg(long, value_name = "PATH")]
    printer: Option<PathBuf>,
    /// Make a pseudo terminal for the printer and link it here, for a reader to open.
    #[arg(long, value_name = "LINK", conflicts_with = "printer")]
    printer_link: Option<PathBuf>,
    /// Write each event of the till to a file of its own in this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "stdout")]
    pos_dir: Option<PathBuf>,
    /// Write events of the till to standard output, one JSON object a line (the default); pipe
    /// them into `mosquitto_pub -l`.
    #[arg(long)]
    stdout: bool,
    /// Play this many times as fast.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    speed: f64,
    /// Play this many times, 0 for ever; each begins a minute after the one before, or when the
    /// last is over.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// The store as the till names it.
    #[arg(long, default_value = "store_001")]
    store: String,
    /// The register as the till names it.
    #[arg(long, default_value = "reg_01")]
    register: String,
    /// Repeats a run exactly: ids, tickets and staff follow from this number.
    #[arg(long)]
    seed: Option<u64>,
    /// The sense switch is low while the drawer is open.
    #[arg(long)]
    open_is_low: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above zero".into()),
    }
}

impl Play {
    pub fn run(self) -> Result<(), CommandError> {
        let (schedule, period) = match &self.story {
            Some(name) => {
                let story = Story::built_in(name)?;
                (story.schedule(), story.settled_after())
            }
            None => (Day::demo()?.schedule(), Day::DEMO_PERIOD),
        };
        let run = match self.seed {
            Some(seed) => Run::new(&self.store, &self.register, seed),
            None => Run::fresh(&self.store, &self.register),
        };
        let mut player = Player::new(run, SystemClock::default())
            .with_speed(self.speed)
            .with_wiring(Wiring {
                open_is_high: !self.open_is_low,
                ..Wiring::default()
            });
        let mut outputs = Outputs::open(&self)?;
        // A broken output ends the play; the error waits here until the player has stopped.
        outputs.stop = Some(player.stop_handle());
        let length = schedule.last().map_or(Duration::ZERO, |(at, _)| *at);
        let mut round = 0;
        loop {
            player.play_watched(&schedule, &mut outputs, &mut |at, action, happened| {
                tell(at, action, happened);
            });
            round += 1;
            if let Some(error) = outputs.failed.take() {
                return Err(error);
            }
            if round == self.rounds {
                return Ok(());
            }
            let rest = period.saturating_sub(length).div_f64(self.speed);
            if player.pause(rest) == Playing::Stopped {
                return Ok(());
            }
        }
    }
}

enum Printer {
    None,
    Path(PathBuf, File),
    Port(PrinterPort),
}

struct Outputs {
    printer: Printer,
    pos_dir: Option<PathBuf>,
    pos_count: u64,
    failed: Option<CommandError>,
    stop: Option<tillwatch_simulator::Stop>,
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> CommandError {
    let path = path.to_owned();
    move |source| CommandError::File { path, source }
}

impl Outputs {
    fn open(play: &Play) -> Result<Self, CommandError> {
        let printer = match (&play.printer, &play.printer_link) {
            (Some(path), _) => {
                let file = OpenOptions::new()
                    .append(true)
                    // An absent device must not become a file of that name.
                    .create(!path.starts_with("/dev"))
                    // A terminal must not become our controlling one: its hangup would end us.
                    .custom_flags(nix::libc::O_NOCTTY)
                    .open(path)
                    .map_err(file_error(path))?;
                Printer::Path(path.clone(), file)
            }
            (None, Some(link)) => Printer::Port(PrinterPort::create(link)?),
            (None, None) => Printer::None,
        };
        if let Some(dir) = &play.pos_dir {
            fs::create_dir_all(dir).map_err(file_error(dir))?;
        }
        Ok(Self {
            printer,
            pos_dir: play.pos_dir.clone(),
            pos_count: 0,
            failed: None,
            stop: None,
        })
    }

    fn keep(&mut self, result: Result<(), CommandError>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
            if let Some(stop) = &self.stop {
                stop.stop();
            }
        }
    }
}

impl Register for Outputs {
    // Lines exist only in the timeline.
    fn edge(&mut self, _line: Line, _high: bool) {}

    fn print(&mut self, bytes: &[u8]) {
        let result = match &mut self.printer {
            Printer::None => Ok(()),
            Printer::Path(path, file) => file.write_all(bytes).map_err(file_error(path)),
            Printer::Port(port) => {
                let path = port.path().to_owned();
                port.send(bytes).map_err(file_error(&path))
            }
        };
        self.keep(result);
    }

    fn pos(&mut self, topic_kind: &str, json: &str) {
        let result = match &self.pos_dir {
            Some(dir) => {
                let path = dir.join(format!("{:06}-{topic_kind}.json", self.pos_count));
                fs::write(&path, json).map_err(file_error(&path))
            }
            None => {
                let mut out = io::stdout().lock();
                writeln!(out, "{json}")
                    .and_then(|()| out.flush())
                    .map_err(CommandError::Output)
            }
        };
        self.pos_count += 1;
        self.keep(result);
    }

    fn plug(&mut self, device: Device, connected: bool) {
        if let (Printer::Port(port), Device::Printer) = (&mut self.printer, device) {
            let result = if connected {
                port.plug()
            } else {
                port.unplug()
            };
            self.keep(result.map_err(CommandError::Pty));
        }
    }
}

/// One line of the timeline.
fn tell(at: Duration, action: &Action, happened: &Happened) {
    let what = match happened {
        Happened::Edge { line, high } => {
            let line = match line {
                Line::Sense => "drawer sense line",
                Line::Kick => "kick line",
            };
            format!("{line} {}", if *high { "high" } else { "low" })
        }
        Happened::Print(bytes) => {
            let bytes = bytes.len();
            match &action.what {
                What::Print(PrintJob::Receipt { receipt, .. }) => {
                    format!("prints a {:?}, {bytes} bytes", receipt.document).to_lowercase()
                }
                What::Print(PrintJob::Kick { .. }) => "drawer command on the wire".into(),
                _ => format!("{bytes} bytes for the customer display"),
            }
        }
        Happened::Pos { topic_kind, json } => {
            let event: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
            let event_type = event["event_type"].as_str().unwrap_or_default();
            format!("till reports {event_type} on {topic_kind}")
        }
        Happened::Plug { device, connected } => {
            let state = if *connected {
                "plugged in"
            } else {
                "unplugged"
            };
            format!("{device:?} {state}").to_lowercase()
        }
    };
    // A closed standard error is no reason to stop.
    let _ = writeln!(
        io::stderr().lock(),
        "{:>9.4} s  {:<24} {what}",
        at.as_secs_f64(),
        action.story
    );
}
