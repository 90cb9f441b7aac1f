//! Weighted sums of rewards.

use crate::clip_s::finite;
use crate::{Baseline, Candidate, Reward, RewardError};

/// One reward with its weight and what its scores are compared with.
pub struct Term {
    /// Factor on the score.
    pub weight: f32,
    /// Baseline of this term; by default that of all terms.
    pub baseline: Option<Baseline>,
    /// Divide its advantages by their spread over the batch before they are weighed.
    pub normalize: bool,
    /// The reward.
    pub reward: Box<dyn Reward>,
}

impl Term {
    /// A term that is treated like the others.
    pub fn new(weight: f32, reward: impl Reward + 'static) -> Self {
        Self { weight, baseline: None, normalize: false, reward: Box::new(reward) }
    }
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
    /// See [`Term::baseline`].
    pub baseline: Option<Baseline>,
    /// See [`Term::normalize`].
    pub normalize: bool,
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

    /// Whether a term needs a greedy caption to compare with, given the baseline of those that
    /// don't bring their own.
    pub fn needs_greedy(&self, default: Baseline) -> bool {
        self.terms.iter().any(|term| term.baseline.unwrap_or(default).needs_greedy())
    }

    /// Scores every candidate by every term.
    ///
    /// # Errors
    /// Whatever a term answers with; [`RewardError::Shape`] for a term that returns more or fewer
    /// scores than there are candidates, and [`RewardError::NotFinite`] for one that returns a NaN
    /// or an infinity, each naming the reward.
    pub fn score_terms(&mut self, candidates: &[Candidate]) -> Result<Scores, RewardError> {
        let mut total = vec![0.0; candidates.len()];
        let mut terms = Vec::with_capacity(self.terms.len());
        for term in &mut self.terms {
            let scores = term.reward.score(candidates)?;
            check_scores(term.reward.name(), candidates, &scores)?;
            for (sum, score) in total.iter_mut().zip(&scores) {
                *sum += term.weight * score;
            }
            let name = term.reward.name().to_string();
            let Term { weight, baseline, normalize, .. } = *term;
            terms.push(TermScores { name, weight, baseline, normalize, scores });
        }
        Ok(Scores { total, terms })
    }
}

/// What a reward returned must be one finite number for each candidate: rewards are open to be
/// written by others, and a wrong number would only show as a loss that is not finite.
fn check_scores(name: &str, candidates: &[Candidate], scores: &[f32]) -> Result<(), RewardError> {
    if scores.len() != candidates.len() {
        return Err(RewardError::Shape(format!(
            "the reward `{name}` returned {} scores for {} captions: it must return one for each",
            scores.len(),
            candidates.len()
        )));
    }
    candidates.iter().zip(scores).try_for_each(|(candidate, &score)| finite(name, candidate, score))
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
        let terms = [2.0, -0.5].map(|weight| Term::new(weight, Length));
        let mut sum = WeightedSum::new(terms.into()).unwrap();
        let candidates = [Candidate::new(0, "a dog"), Candidate::new(0, "")];
        let scores = sum.score_terms(&candidates).unwrap();
        assert_eq!(scores.total, [3.0, 0.0]);
        assert_eq!(scores.terms[1].scores, [2.0, 0.0]);
    }

    /// Returns what it was built with, whatever it is asked.
    struct Fixed(Vec<f32>);

    impl Reward for Fixed {
        fn name(&self) -> &str {
            "fixed"
        }

        fn score(&mut self, _: &[Candidate]) -> Result<Vec<f32>, RewardError> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn a_wrong_number_of_scores_names_the_reward() {
        let candidates = [Candidate::new(0, "a dog"), Candidate::new(1, "a cat")];
        for scores in [vec![], vec![1.0], vec![1.0; 3]] {
            let count = scores.len();
            let terms = vec![Term::new(1.0, Length), Term::new(1.0, Fixed(scores))];
            let error = WeightedSum::new(terms).unwrap().score(&candidates).unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, RewardError::Shape(_)), "{message}");
            let expected = format!("`fixed` returned {count} scores for 2 captions");
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn a_score_that_is_no_number_names_reward_and_caption() {
        let candidates = [Candidate::new(0, "a dog"), Candidate::new(1, "a cat")];
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // A weight of 0 does not hide it: 0 · NaN is NaN.
            let terms = vec![Term::new(0.0, Fixed(vec![1.0, wrong]))];
            let error = WeightedSum::new(terms).unwrap().score(&candidates).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("`fixed`") && message.contains("\"a cat\""), "{message}");
        }
    }

    #[test]
    fn a_weight_must_be_finite() {
        let terms = vec![Term::new(f32::NAN, Length)];
        let error = WeightedSum::new(terms).err().unwrap().to_string();
        assert!(error.contains("`length`"), "{error}");
    }
}
