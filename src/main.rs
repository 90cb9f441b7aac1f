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
            eprintln!("error: {}", sentence(&error));
            ExitCode::from(2)
        }
    }
}

/// The error and its causes, but for those that what stands before has told already.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.ends_with(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}
