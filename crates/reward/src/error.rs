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
        "reward `{reward}` is not finite for the caption {caption:?}: check the weights it was built from"
    )]
    NotFinite {
        /// Name of the reward.
        reward: String,
        /// The caption.
        caption: String,
    },
    /// The CLIP model or tokenizer refused.
    #[error(transparent)]
    Clip(#[from] ClipError),
    /// A metric refused.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}
