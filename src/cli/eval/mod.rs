//! `finecap eval`

mod captions;
mod external;
mod finecap;
mod lines;
mod matching;
mod meteor;
mod resampling;
mod retrieval;
mod run;
mod scores;
mod seeing;

use anyhow::Result;
use burn::tensor::Device;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Eval {
    /// Score captions of files against reference captions, as coco-caption does.
    Captions(Box<captions::Captions>),
    /// Score captions on FineCapEval: the share of the annotators' words that they contain.
    Finecap(finecap::FineCap),
    /// Measure retrieval between embeddings of images and texts: recall and ranks.
    Retrieval(retrieval::Retrieval),
    /// Score the held-out captions of a training run, with intervals.
    Run(run::Run),
}

impl Eval {
    pub fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        match self {
            Self::Captions(captions) => captions.run(device),
            Self::Finecap(finecap) => finecap.run(),
            Self::Retrieval(retrieval) => retrieval.run(device),
            Self::Run(run) => run.run(),
        }
    }
}
