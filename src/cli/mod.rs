//! The `finecap` command.

mod bad_pictures;
mod caption;
mod convert;
mod data;
mod doctor;
mod embed;
mod eval;
mod features;
mod inspect;
mod lines;
mod prepare;
mod report;
mod scenes;
mod score;
mod signals;
mod tokenize;
mod train;

use std::ffi::OsString;

use anyhow::Result;
use burn::tensor::Device;
use clap::{Parser, Subcommand};
use finecap::terminal::{say, sentence};
use finecap::train::TrainError;

/// Runs the command with these arguments, of which the first is its own name, and returns the exit code: 0,
/// or 2 after an error, or what a signal asks for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    end_with_the_pipe();
    finecap::memory::keep_freed();
    finecap::terminal::show();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(answer) => {
            let _ = answer.print();
            return answer.exit_code() as u8;
        }
    };
    let signals = arguments.can_go_on_later().then(signals::Signals::handle);
    let asked = || signals.as_ref().and_then(signals::Signals::exit_code);
    match (run(arguments), asked()) {
        (Ok(()), None) => 0,
        // What was running came to its end just then.
        (Ok(()), Some(code)) => code,
        (Err(error), code) => {
            let stopped = matches!(error.downcast_ref(), Some(TrainError::Stopped { .. }));
            let start = if stopped { "" } else { "error: " };
            say(&format!("{start}{}", sentence(&error)));
            if stopped { code.unwrap_or(2) } else { 2 }
        }
    }
}

/// A reader that has seen enough ends the program, as is usual, instead of making it panic.
fn end_with_the_pipe() {
    // SAFETY: the default action needs no handler.
    #[cfg(unix)]
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Fine-grained image captioning with CLIP rewards.
#[derive(Parser)]
#[command(name = "finecap", bin_name = "finecap", version, about)]
struct Arguments {
    /// Where to compute: auto, flex, ndarray, wgpu, vulkan, metal, rocm or cuda; GPUs take an
    /// index, as in cuda:1. By default the environment variable
    /// FINECAP_DEVICE, or else auto.
    #[arg(long, global = true)]
    device: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a CLIP model, its grammar head, or a captioner by imitation (mle) or reward (scst).
    Train(train::Train),
    /// Caption pictures with a trained captioner.
    Caption(caption::Caption),
    /// Embed captions or pictures with a CLIP model.
    #[command(subcommand)]
    Embed(embed::Embed),
    /// Print the token ids of captions.
    Tokenize(tokenize::Tokenize),
    /// Compute image features once, or import those of another program.
    #[command(subcommand)]
    Features(features::Features),
    /// Count the document frequencies of CIDEr-D over training references, once for many runs.
    Prepare(prepare::Prepare),
    /// Convert released CLIP weights into a folder that every command reads.
    Convert(convert::Convert),
    /// List what a weight file holds: format, model, tensors, plain values.
    Inspect(inspect::Inspect),
    /// Score captions with CLIPScore, RefCLIPScore or a grammar model.
    Score(score::Score),
    /// Evaluate captions against references, or a run on its held-out pictures.
    #[command(subcommand)]
    Eval(eval::Eval),
    /// Inspect files of captions before training or scoring.
    #[command(subcommand)]
    Data(data::Data),
    /// Show trained captioners side by side in one HTML file.
    Report(report::Report),
    /// Write the generated data set as PNG files and Karpathy JSON.
    Scenes(scenes::Scenes),
    /// Report devices and settings of this binary on this machine.
    Doctor,
}

impl Arguments {
    /// Whether the command can be stopped and gone on with.
    fn can_go_on_later(&self) -> bool {
        matches!(
            self.command,
            Command::Train(_) | Command::Features(features::Features::Extract(_))
        )
    }
}

/// Runs the command that was asked for.
fn run(arguments: Arguments) -> Result<()> {
    let device = || -> Result<Device> { Ok(finecap::device::choose(arguments.device.as_deref())?) };
    match arguments.command {
        Command::Train(train) => train.run(&device()?),
        Command::Caption(caption) => caption.run(&device()?),
        Command::Embed(embed) => embed.run(&device()?),
        Command::Features(features) => features.run(device),
        Command::Tokenize(tokenize) => tokenize.run(),
        Command::Prepare(prepare) => prepare.run(),
        Command::Convert(convert) => convert.run(&device()?),
        Command::Inspect(inspect) => inspect.run(),
        Command::Score(score) => score.run(&device()?),
        Command::Eval(eval) => eval.run(device),
        Command::Data(data) => data.run(),
        Command::Report(report) => report.run(),
        Command::Scenes(scenes) => scenes.run(),
        Command::Doctor => {
            doctor::run();
            Ok(())
        }
    }
}
