//! CIDEr-D as a reward.

use finecap_metrics::{CiderD, DocumentFrequencies, PreparedReferences, WordIds};

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

/// Stands for the end of a caption among the words.
///
/// With it inside the n-grams, stopping in the wrong place costs reward; without it about a third
/// of the captions that come out of SCST end badly.
const END: &str = "<eos>";

/// CIDEr-D of a caption against its picture's references, end of caption included.
pub struct CiderReward {
    words: WordIds,
    scorer: CiderD,
    references: Vec<PreparedReferences>,
}

impl CiderReward {
    /// Builds the reward from the references of every picture, words separated by spaces; the
    /// document frequencies are those of the same references.
    ///
    /// # Errors
    /// [`RewardError::Metrics`] for a picture without references.
    pub fn new<S: AsRef<str>>(references: &[impl AsRef<[S]>]) -> Result<Self, RewardError> {
        let mut words = WordIds::default();
        let ids: Vec<Vec<Vec<u32>>> = references
            .iter()
            .map(|refs| {
                refs.as_ref().iter().map(|r| caption_ids(&mut words, r.as_ref(), true)).collect()
            })
            .collect();
        let scorer = CiderD::new(DocumentFrequencies::from_references(&ids)?);
        let references = ids.iter().map(|refs| scorer.prepare(refs)).collect::<Result<_, _>>()?;
        Ok(Self { words, scorer, references })
    }
}

impl Reward for CiderReward {
    fn name(&self) -> &str {
        "cider"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.references.len())?;
        let score = |candidate: &Candidate| {
            let ids = caption_ids(&mut self.words, candidate.text, candidate.ended);
            self.scorer.score(&ids, &self.references[candidate.image]) as f32
        };
        Ok(candidates.iter().map(score).collect())
    }
}

fn caption_ids(words: &mut WordIds, caption: &str, ended: bool) -> Vec<u32> {
    let end = ended.then_some(END);
    caption.split_whitespace().chain(end).map(|word| words.id(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_that_does_not_end_scores_less() {
        let references = vec![
            vec!["a red dog", "the red dog runs"],
            vec!["a blue cat", "a cat on a mat"],
            vec!["two birds", "birds in a tree"],
        ];
        let mut reward = CiderReward::new(&references).unwrap();
        let ended = Candidate::new(0, "a red dog");
        let cut = Candidate { ended: false, ..ended };
        let scores = reward.score(&[ended, cut, Candidate::new(1, "a red dog")]).unwrap();
        assert!(scores[0] > scores[1], "{scores:?}");
        assert!(scores[1] > scores[2], "{scores:?}");
    }

    #[test]
    fn an_unknown_image_is_named() {
        let mut reward = CiderReward::new(&[vec!["a dog"], vec!["a cat"]]).unwrap();
        let error = reward.score(&[Candidate::new(2, "a dog")]).unwrap_err().to_string();
        assert!(error.contains("image 2") && error.contains("cider"), "{error}");
    }
}
