//! What every reward has in common.

use crate::RewardError;

/// One caption proposed for one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Index of the picture among those that the reward was built with.
    pub image: usize,
    /// The caption, words separated by single spaces.
    pub text: &'a str,
    /// Whether the captioner ended it itself, rather than being cut at the length limit.
    pub ended: bool,
}

impl<'a> Candidate<'a> {
    /// A complete caption.
    pub fn new(image: usize, text: &'a str) -> Self {
        Self { image, text, ended: true }
    }
}

/// Scores captions; higher is better.
///
/// A reward owns what it knows of the pictures (embeddings, references), so that one call scores
/// any number of captions of any of them. It takes `&mut self` to be free to remember captions.
pub trait Reward {
    /// Name in logs and tables.
    fn name(&self) -> &str;

    /// One score per candidate, in order.
    ///
    /// # Errors
    /// [`RewardError::UnknownImage`] for a picture it was not built with.
    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError>;
}

/// The first candidate about a picture outside `0..known`, as an error.
pub(crate) fn check_images(
    reward: &str,
    candidates: &[Candidate],
    known: usize,
) -> Result<(), RewardError> {
    match candidates.iter().position(|c| c.image >= known) {
        None => Ok(()),
        Some(candidate) => Err(RewardError::UnknownImage {
            reward: reward.to_string(),
            candidate,
            image: candidates[candidate].image,
            known,
        }),
    }
}
