//! `tillwatch`: the register's box.

use std::process::ExitCode;
use tillwatch::console::{
    self,
    cli::{Cli, Command},
};
use tillwatch::{mode, start};

fn main() -> ExitCode {
    let cli = <Cli as clap::Parser>::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tillwatch")
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(program(cli));
            // A blocking read of a device may be under way; it must not hold up the exit.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            code
        }
        Err(why) => {
            console::complain(&format!("cannot start: {why}"));
            ExitCode::from(1)
        }
    }
}

/// A command, or the gateway itself.
async fn program(cli: Cli) -> ExitCode {
    match &cli.command {
        None | Some(Command::Run) => start::main(mode::Options::from(&cli.options)).await,
        Some(command) => console::main(command, &cli.options).await,
    }
}
