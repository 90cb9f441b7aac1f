//! The grammar probability as a reward.

use super::{GrammarHead, GrammarScorer};
use crate::{Candidate, Reward, RewardError, TextEncoder};

/// The probability that a caption is a sentence, by a [`GrammarScorer`]; no picture is looked at.
pub struct GrammarReward {
    encoder: TextEncoder,
    head: GrammarHead,
    prompt: String,
}

impl GrammarReward {
    /// A reward that asks as the scorer was trained, through `encoder`, which holds the scorer's
    /// own CLIP and may be shared with other rewards.
    pub fn new(scorer: &GrammarScorer, encoder: TextEncoder) -> Self {
        Self { encoder, head: scorer.head.clone(), prompt: scorer.prompt.clone() }
    }
}

impl Reward for GrammarReward {
    fn name(&self) -> &str {
        "grammar"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        let texts: Vec<&str> = candidates.iter().map(|c| c.text).collect();
        let states = self.encoder.states(&self.prompt, &texts)?;
        let scores: Vec<f32> = self.head.probability(states).into_data().iter::<f32>().collect();
        match scores.iter().position(|score| !score.is_finite()) {
            None => Ok(scores),
            Some(row) => Err(RewardError::NotFinite {
                reward: "grammar".into(),
                caption: candidates[row].text.into(),
            }),
        }
    }
}
