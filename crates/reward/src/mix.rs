//! Weighted sums of rewards.

use crate::{Candidate, Reward, RewardError};

/// One reward with its weight.
pub struct Term {
    /// Factor on the score.
    pub weight: f32,
    /// The reward.
    pub reward: Box<dyn Reward>,
}

/// A weighted sum that keeps its terms apart, so that each can be logged.
pub struct WeightedSum {
    terms: Vec<Term>,
}

/// Scores of a batch: the sum, and what went into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// `Σ weight · term`, one per candidate.
    pub total: Vec<f32>,
    /// Name, weight and unweighted scores of every term.
    pub terms: Vec<TermScores>,
}

/// Unweighted scores of one term.
#[derive(Debug, Clone, PartialEq)]
pub struct TermScores {
    /// Name of the reward.
    pub name: String,
    /// Its weight in the sum.
    pub weight: f32,
    /// One score per candidate.
    pub scores: Vec<f32>,
}

impl WeightedSum {
    /// # Errors
    /// [`RewardError::Weight`] for a weight that is not finite, [`RewardError::Shape`] for an
    /// empty sum.
    pub fn new(terms: Vec<Term>) -> Result<Self, RewardError> {
        if let Some(term) = terms.iter().find(|term| !term.weight.is_finite()) {
            return Err(RewardError::Weight(term.reward.name().to_string()));
        }
        if terms.is_empty() {
            return Err(RewardError::Shape("a weighted sum needs at least one reward".into()));
        }
        Ok(Self { terms })
    }

    /// Scores every candidate by every term.
    ///
    /// # Errors
    /// Whatever a term answers with.
    pub fn score_terms(&mut self, candidates: &[Candidate]) -> Result<Scores, RewardError> {
        let mut total = vec![0.0; candidates.len()];
        let mut terms = Vec::with_capacity(self.terms.len());
        for term in &mut self.terms {
            let scores = term.reward.score(candidates)?;
            for (sum, score) in total.iter_mut().zip(&scores) {
                *sum += term.weight * score;
            }
            let name = term.reward.name().to_string();
            terms.push(TermScores { name, weight: term.weight, scores });
        }
        Ok(Scores { total, terms })
    }
}

impl Reward for WeightedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        Ok(self.score_terms(candidates)?.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores a caption by its number of words.
    struct Length;

    impl Reward for Length {
        fn name(&self) -> &str {
            "length"
        }

        fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
            Ok(candidates.iter().map(|c| c.text.split_whitespace().count() as f32).collect())
        }
    }

    #[test]
    fn terms_are_kept_apart_and_summed() {
        let terms = [2.0, -0.5].map(|weight| Term { weight, reward: Box::new(Length) });
        let mut sum = WeightedSum::new(terms.into()).unwrap();
        let candidates = [Candidate::new(0, "a dog"), Candidate::new(0, "")];
        let scores = sum.score_terms(&candidates).unwrap();
        assert_eq!(scores.total, [3.0, 0.0]);
        assert_eq!(scores.terms[1].scores, [2.0, 0.0]);
    }

    #[test]
    fn a_weight_must_be_finite() {
        let terms = vec![Term { weight: f32::NAN, reward: Box::new(Length) }];
        let error = WeightedSum::new(terms).err().unwrap().to_string();
        assert!(error.contains("`length`"), "{error}");
    }
}
