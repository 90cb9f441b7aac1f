//! The `finecap` command.
#![recursion_limit = "256"]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    finecap::memory::keep_freed();
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
