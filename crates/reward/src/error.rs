use std::error::Error;
use std::path::PathBuf;

use finecap_clip::ClipError;
use finecap_metrics::MetricsError;

/// What can go wrong while scoring captions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewardError {
    /// A candidate names a picture that the reward does not know.
    #[error(
        "candidate {candidate} is about image {image}, but the reward `{reward}` knows only {known} images: build it with the features or references of every image"
    )]
    UnknownImage {
        /// Name of the reward.
        reward: String,
        /// Position in the batch.
        candidate: usize,
        /// Image index that was asked for.
        image: usize,
        /// Number of images known.
        known: usize,
    },
    /// A weight or score that is not a finite number.
    #[error("the weight of reward `{0}` is not a finite number: give it a plain number")]
    Weight(String),
    /// Numbers of scores and rows that don't fit together.
    #[error("{0}")]
    Shape(String),
    /// A reward produced a number that is not finite.
    #[error(
        "the reward `{reward}` is not a finite number for the caption {caption:?}: check the model or program that computes it"
    )]
    NotFinite {
        /// Name of the reward.
        reward: String,
        /// The caption.
        caption: String,
    },
    /// A picture without a single reference caption.
    #[error("the reward `{reward}` has no references for image {image}: give it at least one")]
    References {
        /// Name of the reward.
        reward: String,
        /// The picture.
        image: usize,
    },
    /// Document frequencies that were counted for another vocabulary.
    #[error(
        "the CIDEr table was made for the vocabulary {table}, but the captioner has {captioner}: make it anew with `finecap prepare` from the captioner's own data"
    )]
    Vocabulary {
        /// Fingerprint in the table.
        table: String,
        /// Fingerprint of the captioner's vocabulary.
        captioner: String,
    },
    /// A grammar head and a text tower that don't belong together.
    #[error(
        "the grammar head reads text states of width {head}, but this CLIP's are {text} wide: use the CLIP that it was trained on"
    )]
    GrammarWidth {
        /// Width that the head reads.
        head: usize,
        /// Width of the text tower.
        text: usize,
    },
    /// A file is missing, malformed or can't be written.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file or folder could not be written.
    #[error(transparent)]
    Files(#[from] finecap_files::FilesError),
    /// The CLIP model or tokenizer refused.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A weight file that cannot be read.
    #[error(transparent)]
    WeightFile(#[from] finecap_weights::WeightsError),
    /// A metric refused.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A reward that this crate does not know failed in a way of its own.
    #[error("the reward `{reward}` failed: {source}")]
    Other {
        /// Name of the reward.
        reward: String,
        /// Its reason.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl RewardError {
    /// A failure of a reward of one's own, from an error or a sentence.
    pub fn other(
        reward: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Other { reward: reward.into(), source: source.into() }
    }
}
