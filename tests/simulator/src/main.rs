//! `tillwatch-sim`: a register in software, from the command line.

mod command;

use clap::Parser;
use std::io::Write as _;
use std::process::ExitCode;

/// A store in software: plays stories of what happens at a checkout.
#[derive(Debug, Parser)]
#[command(name = "tillwatch-sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    // Wrong usage ends here with exit code 2.
    let arguments = Arguments::parse();
    match arguments.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            let mut chain: Option<&dyn std::error::Error> = Some(&error);
            let mut sentence = String::from("tillwatch-sim");
            while let Some(link) = chain {
                sentence.push_str(": ");
                sentence.push_str(&link.to_string());
                chain = link.source();
            }
            // Nowhere left to complain.
            let _ = writeln!(stderr, "{sentence}");
            ExitCode::from(error.exit_code())
        }
    }
}
