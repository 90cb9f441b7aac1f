//! BLEU-4 as a reward.

use finecap_metrics::{WordIds, sentence_bleu};

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

/// BLEU-4 of a caption against its picture's references, as coco-caption scores sentences.
pub struct BleuReward {
    words: WordIds,
    references: Vec<Vec<Vec<u32>>>,
}

impl BleuReward {
    /// Builds the reward from the references of every picture, words separated by spaces.
    ///
    /// # Errors
    /// [`RewardError::References`] for a picture without references.
    pub fn new<S: AsRef<str>>(references: &[impl AsRef<[S]>]) -> Result<Self, RewardError> {
        let mut words = WordIds::default();
        let references: Vec<Vec<Vec<u32>>> = references
            .iter()
            .map(|refs| refs.as_ref().iter().map(|r| words.caption(r.as_ref())).collect())
            .collect();
        match references.iter().position(Vec::is_empty) {
            None => Ok(Self { words, references }),
            Some(image) => Err(RewardError::References { reward: "bleu".into(), image }),
        }
    }
}

impl Reward for BleuReward {
    fn name(&self) -> &str {
        "bleu"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.references.len())?;
        let score = |candidate: &Candidate| {
            let ids = self.words.caption(candidate.text);
            sentence_bleu(&ids, &self.references[candidate.image])[3] as f32
        };
        Ok(candidates.iter().map(score).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_scores_one_and_its_half_less() {
        let references = vec![vec!["two dogs play with a ball"]];
        let mut reward = BleuReward::new(&references).unwrap();
        let candidates = [
            Candidate::new(0, "two dogs play with a ball"),
            Candidate::new(0, "two dogs play with"),
        ];
        let scores = reward.score(&candidates).unwrap();
        assert!((scores[0] - 1.0).abs() < 1e-6, "{scores:?}");
        assert!(scores[1] < scores[0]);
        assert!(BleuReward::new::<&str>(&[vec![]]).is_err());
    }
}
