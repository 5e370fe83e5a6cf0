//! The technician's commands: one file for each. They ask the running gateway over its control
//! socket; what can be said without it (last state, log, devices) is said from there.
//!
//! | module | what |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | `find` | which gateway a command is about |
//! | [`control`] | asks the running gateway |
//! | `check` | `check`: configuration, wiring, brokers, disk |
//! | `status` | `status` |
//! | `events` | `events`, also as they happen |
//! | `alerts` | `alerts`, `alerts review` |
//! | `clips` | `clips list`, `clips export` |
//! | `audit` | `audit` |
//! | `logins` | `logins list`, `add`, `reset`, `remove`, `end-tokens` |
//! | `store` | `store check` |
//! | `receipt` | `receipt FILE` |
//! | `config` | `config show` |
//! | [`state_file`] | the last state, for when nobody answers |
//! | [`text`] | text for a terminal |
//! | `sse` | reading server-sent events |
//!
//! Only here is anything printed to a terminal.

mod alerts;
mod audit;
mod check;
pub mod cli;
mod clips;
mod config;
pub mod control;
mod events;
mod find;
mod logins;
mod receipt;
mod sse;
pub mod state_file;
mod status;
mod store;
pub mod text;

use crate::config::{ConfigError, Layers};
use cli::{Command, Options, StoreCommand};
use control::{Control, ControlError};
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::process::ExitCode;

/// Where a command writes.
type Out<'a> = &'a mut (dyn Write + Send);

/// Why a command ends without having done what was asked.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// It failed: exit code 1.
    Failed(String),
    /// It failed, and has said so already: exit code 1.
    Told,
    /// Nobody reads on (`| head`): exit code 0.
    Unread,
}

impl From<ConfigError> for Failure {
    fn from(why: ConfigError) -> Self {
        Self::Usage(why.to_string())
    }
}

impl From<ControlError> for Failure {
    fn from(why: ControlError) -> Self {
        match why {
            ControlError::Down(_) => {
                Self::Failed(format!("{why}; start it, or name its --data or --config"))
            }
            why => Self::Failed(why.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(why.to_string()),
        }
    }
}

/// Says what is wrong on the terminal, for people.
pub fn complain(text: &str) {
    // Where nobody reads standard error, nobody is to be told.
    let _ = writeln!(io::stderr(), "tillwatch: {text}");
}

/// Runs a command about a gateway; [`Command::Run`] is none.
pub async fn main(command: &Command, options: &Options) -> ExitCode {
    exit_code(dispatch(command, options, &mut io::stdout()).await)
}

fn exit_code(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::from(1),
        Err(Failure::Failed(text)) => {
            complain(&text);
            ExitCode::from(1)
        }
        Err(Failure::Usage(text)) => {
            complain(&text);
            ExitCode::from(2)
        }
    }
}

async fn dispatch(command: &Command, options: &Options, out: Out<'_>) -> Result<(), Failure> {
    match command {
        Command::Run => Ok(()),
        Command::Check => check::run(options, out).await,
        Command::Status(args) => status::run(args, &Gateway::of(options)?, out).await,
        Command::Events(args) => events::run(args, &Gateway::of(options)?, out).await,
        Command::Alerts(args) => alerts::run(args, &Gateway::of(options)?, out).await,
        Command::Clips(command) => clips::run(command, &Gateway::of(options)?, out).await,
        Command::Audit(args) => audit::run(args, &Gateway::of(options)?, out).await,
        Command::Logins(command) => logins::run(command, &Gateway::of(options)?, out).await,
        Command::Store(StoreCommand::Check) => store::check(&Gateway::of(options)?, out).await,
        Command::Receipt(args) => receipt::run(args, options, out),
        Command::Config(args) => config::run(args, options, out),
    }
}

/// The gateway that a command is about.
struct Gateway {
    layers: Layers,
    control: Control,
    zone: TimeZone,
}

impl Gateway {
    fn of(options: &Options) -> Result<Self, Failure> {
        let layers = Layers::load(&find::given(options)?)?;
        let zone = layers
            .config()
            .zone()
            .map_err(|why| Failure::Usage(why.to_string()))?;
        let control = Control::of_data(&layers.config().data);
        Ok(Self {
            layers,
            control,
            zone,
        })
    }

    fn data(&self) -> &std::path::Path {
        &self.layers.config().data
    }
}
