//! The `finecap` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(finecap::cli::main(std::env::args_os()))
}
