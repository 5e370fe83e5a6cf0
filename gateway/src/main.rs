//! `tillwatch`: the register's box.

use std::process::ExitCode;
use tillwatch::console::{self, cli::Cli};

fn main() -> ExitCode {
    let cli = <Cli as clap::Parser>::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tillwatch")
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(console::main(cli));
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
