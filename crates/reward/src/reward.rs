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
/// any number of captions of any of them.
///
/// It takes `&mut self` because it may remember captions or talk to another program, and must be
/// [`Send`] so that it can be computed on another thread than the one that made it. It need not
/// be `Sync`: nobody asks one reward twice at the same time.
///
/// A reward of one's own fails with [`RewardError::other`]. Its scores must be one finite number
/// for each candidate: [`WeightedSum`](crate::WeightedSum) refuses anything else by name.
///
/// ```
/// use finecap_reward::{Candidate, Reward, RewardError, Term, WeightedSum};
///
/// /// One point for each different word.
/// struct Variety;
///
/// impl Reward for Variety {
///     fn name(&self) -> &str {
///         "variety"
///     }
///
///     fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
///         let words = |text: &str| text.split(' ').collect::<std::collections::HashSet<_>>().len();
///         Ok(candidates.iter().map(|candidate| words(candidate.text) as f32).collect())
///     }
/// }
///
/// # fn main() -> Result<(), RewardError> {
/// let mut sum = WeightedSum::new(vec![Term::new(0.5, Variety)])?;
/// assert_eq!(sum.score(&[Candidate::new(0, "a dog and a dog")])?, [1.5]);
/// # Ok(())
/// # }
/// ```
pub trait Reward: Send {
    /// Name in logs and tables.
    fn name(&self) -> &str;

    /// One score per candidate, in order.
    ///
    /// # Errors
    /// [`RewardError::UnknownImage`] for a picture it was not built with, [`RewardError::Other`]
    /// for what only this reward knows.
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
