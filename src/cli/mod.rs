//! Commands.

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
mod tokenize;
mod train;

use anyhow::Result;
use burn::tensor::Device;
use clap::{Parser, Subcommand};

/// Fine-grained image captioning with CLIP rewards.
#[derive(Parser)]
#[command(version, about)]
pub struct Arguments {
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
    pub fn can_go_on_later(&self) -> bool {
        matches!(
            self.command,
            Command::Train(_) | Command::Features(features::Features::Extract(_))
        )
    }
}

/// Runs the command that was asked for.
pub fn run(arguments: Arguments) -> Result<()> {
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
