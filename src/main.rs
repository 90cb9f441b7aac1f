//! The `finecap` command.
#![recursion_limit = "256"]

mod cli;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use finecap::terminal::say;
use finecap::train::TrainError;

fn main() -> ExitCode {
    end_with_the_pipe();
    finecap::memory::keep_freed();
    finecap::terminal::show();
    let arguments = cli::Arguments::parse();
    let signals = arguments.can_go_on_later().then(signals::Signals::handle);
    let asked = || signals.as_ref().and_then(signals::Signals::exit_code);
    match (cli::run(arguments), asked()) {
        (Ok(()), None) => ExitCode::SUCCESS,
        // What was running came to its end just then.
        (Ok(()), Some(code)) => ExitCode::from(code),
        (Err(error), code) => {
            let stopped = matches!(error.downcast_ref(), Some(TrainError::Stopped { .. }));
            let start = if stopped { "" } else { "error: " };
            say(&format!("{start}{}", sentence(&error)));
            ExitCode::from(if stopped { code.unwrap_or(2) } else { 2 })
        }
    }
}

/// Joins the error chain, skipping causes that are already contained in the message.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |so_far, cause| {
        match so_far.as_str() {
            "" => cause,
            _ if so_far.contains(&cause) => so_far,
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
