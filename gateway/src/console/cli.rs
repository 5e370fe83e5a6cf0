//! The command line. Exit codes: 0 fine, 1 the operation failed, 2 wrong usage or configuration.

use crate::mode;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  tillwatch                                    start; without /etc/tillwatch: the demo
  tillwatch run --config /etc/tillwatch/tillwatch.toml
  tillwatch check                              is everything wired and reachable?
  tillwatch status                             what works and what does not
  tillwatch events --follow                    what happens, as it happens
  tillwatch alerts                             what somebody should look at
  tillwatch alerts review 6f9c… --verdict legitimate --note \"manager was there\"
  tillwatch clips list                         footage around alerts
  tillwatch clips export 1c2e… --to /mnt/stick as MP4 files
  tillwatch logins reset ann                   another password for somebody who lost it
  tillwatch receipt capture.bin                what a printer's bytes say
  tillwatch config show --origin               where each value comes from

Exit codes: 0 fine, 1 the operation failed, 2 wrong usage or configuration.";

/// The box at the cash register that sees what really happened.
///
/// Without a command it runs the gateway. All other commands ask the running gateway over its
/// control socket; `status` and `store check` also work while it is down.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "tillwatch", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Options that go with every command.
    #[command(flatten)]
    pub options: Options,
    /// What to do; `run` without one.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that go with every command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct Options {
    /// Configuration file [default: /etc/tillwatch/tillwatch.toml where it exists].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take the till's events by MQTT (`pos.enabled`).
    #[arg(long, global = true)]
    pub enable_pos: bool,
    /// Publish a simulated till's events; without a configuration, only that.
    #[arg(long, global = true)]
    pub simulate_pos: bool,
    /// Where everything is kept (`data`).
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where page and API listen; beyond loopback with TLS and login (`web.listen`).
    #[arg(long, global = true, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Run the gateway (the default).
    Run,
    /// Check the configuration, the wiring, the brokers and the disk.
    ///
    /// One line for each: `ok`, `absent` (not configured, and that is fine), or `FAIL` with the
    /// remedy. Exits 1 when something fails, 2 when the configuration cannot be used.
    Check,
    /// Show what works and what does not.
    ///
    /// While the gateway is down, the last state it wrote and since when it is down; exits 1 then.
    Status(StatusArgs),
    /// Show what happened, the newest last.
    Events(EventsArgs),
    /// Show alerts and judge them.
    #[command(args_conflicts_with_subcommands = true)]
    Alerts(AlertsArgs),
    /// Show and export the footage around alerts.
    #[command(subcommand)]
    Clips(ClipsCommand),
    /// Show who saw footage, the newest last.
    Audit(AuditArgs),
    /// Say who may log in at the page; for whoever lost a password, too.
    #[command(subcommand)]
    Logins(LoginsCommand),
    /// Look after the data.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show what a capture of a receipt printer's bytes says.
    Receipt(ReceiptArgs),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `status`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StatusArgs {
    /// As JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// `events`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct EventsArgs {
    /// The newest so many, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Go on with what happens from now on.
    #[arg(long, short)]
    pub follow: bool,
    /// As JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// `alerts`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct AlertsArgs {
    /// What somebody should look at, the most important first (the default).
    #[arg(long, conflicts_with = "all")]
    pub pending: bool,
    /// All alerts, the newest first.
    #[arg(long)]
    pub all: bool,
    /// At most so many with --all, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// As JSON, one object a line.
    #[arg(long)]
    pub json: bool,
    /// Judge one.
    #[command(subcommand)]
    pub command: Option<AlertsCommand>,
}

/// What to do with an alert.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AlertsCommand {
    /// Give a verdict.
    Review(ReviewArgs),
}

/// `alerts review`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReviewArgs {
    /// The alert's id.
    pub id: uuid::Uuid,
    /// What you say.
    #[arg(long)]
    pub verdict: VerdictArg,
    /// Why, at most 2000 characters.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub note: String,
}

/// A verdict on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictArg {
    /// It was in order.
    Legitimate,
    /// It was not.
    Confirmed,
}

/// What to do with footage.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ClipsCommand {
    /// List clips, the newest first.
    List(ClipsListArgs),
    /// Write a clip to MP4 files, one for each camera, with the cameras' own pictures.
    ///
    /// They are named `{yyyy-mm-dd}/{hh-mm-ss}_{kind}_{staff}.mp4`, in UTC; a name that is taken gets
    /// a number. Each is there as a whole or not at all.
    Export(ClipsExportArgs),
}

/// `clips list`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClipsListArgs {
    /// At most so many, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// As JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// `clips export`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ClipsExportArgs {
    /// The clip's id.
    pub id: uuid::Uuid,
    /// Only what this camera shows, by its name or number.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
    /// The folder of all exported clips.
    #[arg(long, value_name = "FOLDER", default_value = "clips")]
    pub to: PathBuf,
}

/// `audit`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AuditArgs {
    /// The newest so many, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// As JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// What to do with logins. Root and the gateway's own user may change them.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LoginsCommand {
    /// List logins, in the order in which they were made.
    List(LoginsListArgs),
    /// Make a login. Asks for its password, or takes it as one line of standard input.
    Add(LoginsAddArgs),
    /// Give a login another password, which ends its sessions and tokens.
    Reset(LoginArgs),
    /// Remove a login, its sessions and its tokens.
    Remove(LoginArgs),
    /// End all tokens of all programs.
    EndTokens,
}

/// `logins list`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LoginsListArgs {
    /// As JSON, one object a line.
    #[arg(long)]
    pub json: bool,
}

/// `logins add`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LoginsAddArgs {
    /// Its name.
    pub name: String,
    /// What it is for.
    #[arg(long)]
    pub role: RoleArg,
}

/// `logins reset` and `logins remove`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct LoginArgs {
    /// Its name.
    pub name: String,
}

/// A role on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Keeps the box working; sees no footage.
    Technician,
    /// Runs the shop.
    Manager,
    /// Judges alerts; changes nothing of the box.
    LossPrevention,
}

/// What to do with the data.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum StoreCommand {
    /// Read the whole log and say whether it is whole. Changes nothing; works beside the gateway.
    Check,
}

/// `receipt`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReceiptArgs {
    /// The raw bytes as the till sent them to the printer.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// As JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// What to show of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Show every key and its value; secrets are hidden.
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
    },
}

impl From<&Options> for mode::Options {
    fn from(options: &Options) -> Self {
        Self {
            config: options.config.clone(),
            enable_pos: options.enable_pos,
            simulate_pos: options.simulate_pos,
            data: options.data.clone(),
            listen: options.listen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_runs_with_the_same_options() {
        let bare =
            parse("tillwatch --config a.toml --enable-pos --data /d --listen 127.0.0.1:1").unwrap();
        let run =
            parse("tillwatch run --config a.toml --enable-pos --data /d --listen 127.0.0.1:1")
                .unwrap();
        assert_eq!(bare.command, None);
        assert_eq!(run.command, Some(Command::Run));
        assert_eq!(bare.options, run.options);
        let given = mode::Options::from(&bare.options);
        assert_eq!((given.enable_pos, given.simulate_pos), (true, false));
        assert_eq!(given.data.as_deref(), Some(std::path::Path::new("/d")));
    }

    #[test]
    fn options_stand_before_or_behind_a_command() {
        let before = parse("tillwatch --data /d status --json").unwrap();
        let behind = parse("tillwatch status --json --data /d").unwrap();
        assert_eq!(before, behind);
        assert_eq!(
            before.command,
            Some(Command::Status(StatusArgs { json: true }))
        );
    }

    #[test]
    fn a_verdict_needs_an_id_and_a_word_that_exists() {
        let id = "6f9c0000-0000-4000-8000-000000000001";
        let cli = parse(&format!(
            "tillwatch alerts review {id} --verdict confirmed --note seen"
        ))
        .unwrap();
        let Some(Command::Alerts(AlertsArgs {
            command: Some(AlertsCommand::Review(review)),
            ..
        })) = cli.command
        else {
            panic!("{cli:?}");
        };
        assert_eq!(
            (review.verdict, review.note.as_str()),
            (VerdictArg::Confirmed, "seen")
        );
        assert!(parse(&format!("tillwatch alerts review {id}")).is_err());
        assert!(parse(&format!("tillwatch alerts review {id} --verdict guilty")).is_err());
        assert!(parse("tillwatch alerts review 12 --verdict confirmed").is_err());
    }

    #[test]
    fn wrong_usage_exits_2_and_help_exits_0() {
        for line in [
            "tillwatch nonsense",
            "tillwatch events --limit 0",
            "tillwatch alerts --pending --all",
            "tillwatch receipt",
            "tillwatch clips",
            "tillwatch clips export",
            "tillwatch clips export 12",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        for line in [
            "tillwatch --help",
            "tillwatch alerts review --help",
            "tillwatch store check --help",
        ] {
            let help = parse(line).unwrap_err();
            assert_eq!(
                (help.kind(), help.exit_code()),
                (ErrorKind::DisplayHelp, 0),
                "{line}"
            );
        }
    }

    #[test]
    fn every_option_and_command_has_help() {
        fn visit(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(visit);
        }
        visit(&Cli::command());
        let help = Cli::command().render_long_help().to_string();
        assert!(
            help.contains("Examples:") && help.contains("Exit codes:"),
            "{help}"
        );
    }
}
