//! The `finecap` command.
#![recursion_limit = "256"]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    end_with_the_pipe();
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

/// Joins the error chain, skipping causes that are already contained in the message.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |so_far, cause| {
        match so_far.as_str() {
            "" => cause,
            _ if so_far.ends_with(&cause) => so_far,
            _ => format!("{so_far}: {cause}"),
        }
    })
}

/// A reader that has seen enough ends the program, as is usual, instead of making it panic.
fn end_with_the_pipe() {
    // SAFETY: called before there are other threads; the default action needs no handler.
    #[cfg(unix)]
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}
