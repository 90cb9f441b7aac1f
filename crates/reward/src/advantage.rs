//! From rewards to advantages: what a sample is compared with.

use serde::{Deserialize, Serialize};

use crate::{RewardError, TermScores};

/// Spreads below this count as none: the samples of an image are equal then.
const NO_SPREAD: f32 = 1e-7;

/// The baseline that is subtracted from a sample's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The reward of the greedy caption of the same image: self-critical training as in Rennie
    /// et al. (2017) and in Cho et al. (2022).
    #[default]
    Greedy,
    /// The mean reward of all samples of the same image, itself included (GRPO's).
    Mean,
    /// The mean reward of the other samples of the same image (leave-one-out, RLOO; Luo 2020).
    /// Needs no greedy caption and at least two samples.
    LeaveOneOut,
    /// Nothing is subtracted.
    None,
}

impl Baseline {
    /// Whether a greedy caption has to be decoded and scored.
    pub fn needs_greedy(self) -> bool {
        self == Self::Greedy
    }

    /// Advantages of `B · K` samples, image by image.
    ///
    /// `greedy` holds one reward per image and is read by [`Baseline::Greedy`] only.
    ///
    /// # Errors
    /// [`RewardError::Shape`] where the numbers of rewards don't fit together.
    pub fn advantages(
        self,
        rewards: &[f32],
        greedy: &[f32],
        samples_per_image: usize,
    ) -> Result<Vec<f32>, RewardError> {
        let k = samples_per_image;
        if k == 0 || !rewards.len().is_multiple_of(k) {
            let message = format!("{} rewards are not {k} for every image", rewards.len());
            return Err(RewardError::Shape(message));
        }
        let groups = rewards.chunks(k);
        match self {
            Self::Greedy if greedy.len() != groups.len() => Err(RewardError::Shape(format!(
                "the greedy baseline needs one reward for each of {} images, got {}",
                groups.len(),
                greedy.len()
            ))),
            Self::Greedy => Ok(groups
                .zip(greedy)
                .flat_map(|(group, base)| group.iter().map(move |r| r - base))
                .collect()),
            Self::Mean => Ok(groups
                .flat_map(|group| {
                    let mean = sum(group) / k as f64;
                    group.iter().map(move |&r| (f64::from(r) - mean) as f32)
                })
                .collect()),
            Self::LeaveOneOut if k < 2 => Err(RewardError::Shape(
                "the leave-one-out baseline needs at least 2 samples per image".into(),
            )),
            Self::LeaveOneOut => Ok(groups
                .flat_map(|group| {
                    let sum = sum(group);
                    let advantage = move |r: f64| r - (sum - r) / (k - 1) as f64;
                    group.iter().map(move |&r| advantage(r.into()) as f32)
                })
                .collect()),
            Self::None => Ok(rewards.to_vec()),
        }
    }
}

/// How the scores of a batch become advantages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvantageRule {
    /// Baseline of the terms that don't bring their own.
    pub baseline: Baseline,
    /// Divide the advantages of an image's samples by the standard deviation of their rewards
    /// (as GRPO does). Where they are all equal there is nothing to learn: the advantages are 0.
    pub divide_by_spread: bool,
}

impl AdvantageRule {
    /// Advantages of the samples, `Σ weight · advantage` over the terms.
    ///
    /// A batch holds, image by image, one greedy caption if `greedy` and then `samples` samples.
    /// A term that asks to be normalised is first divided by the standard deviation of its
    /// advantages over the batch, so that terms of different scales weigh as their weights say.
    ///
    /// # Shapes
    /// - scores of each term: `[B · (greedy + K)]`; output: `[B · K]`
    ///
    /// Without terms there are no rewards, and every advantage is missing: the result is empty.
    ///
    /// # Errors
    /// [`RewardError::Shape`] for no samples, for a term whose scores are not those of whole images
    /// or not as many as another's, and where a baseline needs greedy captions that are not there.
    pub fn advantages(
        &self,
        terms: &[TermScores],
        greedy: bool,
        samples: usize,
    ) -> Result<Vec<f32>, RewardError> {
        let Some(first) = terms.first() else { return Ok(Vec::new()) };
        let rows = usize::from(greedy) + samples;
        for term in terms {
            let found = term.scores.len();
            if samples == 0 || !found.is_multiple_of(rows) || found != first.scores.len() {
                return Err(RewardError::Shape(format!(
                    "the {found} scores of the reward `{}` are not {rows} captions for each of the \
                     images that `{}` scored ({samples} samples an image, {} scores)",
                    term.name,
                    first.name,
                    first.scores.len()
                )));
            }
        }
        let mut total = vec![0.0; first.scores.len() / rows * samples];
        let mut rewards = total.clone();
        for term in terms {
            let (sampled, base) = split_greedy(&term.scores, greedy, samples);
            let baseline = term.baseline.unwrap_or(self.baseline);
            let advantages = baseline.advantages(&sampled, &base, samples)?;
            let mut factor = term.weight;
            if term.normalize {
                let spread = spread(&advantages);
                factor = if spread > NO_SPREAD { factor / spread } else { 0.0 };
            }
            for (row, (advantage, reward)) in advantages.iter().zip(&sampled).enumerate() {
                total[row] += factor * advantage;
                rewards[row] += factor * reward;
            }
        }
        if self.divide_by_spread {
            for (group, rewards) in total.chunks_mut(samples).zip(rewards.chunks(samples)) {
                let spread = spread(rewards);
                for advantage in group {
                    *advantage = if spread > NO_SPREAD { *advantage / spread } else { 0.0 };
                }
            }
        }
        Ok(total)
    }
}

/// Scores of the samples, and of the greedy captions, of a batch as
/// [`AdvantageRule::advantages`] describes it.
pub fn split_greedy(scores: &[f32], greedy: bool, samples: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = usize::from(greedy) + samples;
    let (mut sampled, mut base) = (Vec::new(), Vec::new());
    for (row, score) in scores.iter().enumerate() {
        if greedy && row % rows == 0 { base.push(*score) } else { sampled.push(*score) }
    }
    (sampled, base)
}

/// Standard deviation, dividing by the number of values.
fn spread(values: &[f32]) -> f32 {
    let n = values.len().max(1) as f64;
    let mean = sum(values) / n;
    (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt() as f32
}

/// In double precision equal rewards have exactly their own mean. In single precision they miss it
/// by a rounding error, which a division by the spread would blow up to a full advantage.
fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (a, e) in found.iter().zip(expected) {
            assert!((a - e).abs() < 1e-5, "{found:?} is not {expected:?}");
        }
    }

    fn term(weight: f32, scores: &[f32]) -> TermScores {
        let scores = scores.to_vec();
        TermScores { name: "t".into(), weight, baseline: None, normalize: false, scores }
    }

    #[test]
    fn greedy_subtracts_the_image_own_baseline() {
        let advantages = Baseline::Greedy.advantages(&[1.0, 2.0, 5.0, 3.0], &[1.5, 4.0], 2);
        assert_eq!(advantages.unwrap(), [-0.5, 0.5, 1.0, -1.0]);
    }

    #[test]
    fn leave_one_out_is_the_scaled_distance_from_the_mean() {
        // K/(K-1) · (r - mean), Ahmadian et al. (2024).
        let rewards = [1.0, 2.0, 6.0, 4.0, 4.0, 4.0];
        let leave_one_out = Baseline::LeaveOneOut.advantages(&rewards, &[], 3).unwrap();
        close(&leave_one_out, &[-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]);
        let mean = Baseline::Mean.advantages(&rewards, &[], 3).unwrap();
        close(&mean, &[-2.0, -1.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(Baseline::None.advantages(&rewards, &[], 3).unwrap(), rewards);
    }

    #[test]
    fn wrong_counts_are_errors() {
        assert!(Baseline::Greedy.advantages(&[1.0, 2.0, 3.0], &[0.0], 2).is_err());
        assert!(Baseline::Greedy.advantages(&[1.0, 2.0], &[], 2).is_err());
        assert!(Baseline::LeaveOneOut.advantages(&[1.0], &[], 1).is_err());
    }

    #[test]
    fn terms_of_different_lengths_are_refused() {
        let rule = AdvantageRule { baseline: Baseline::None, divide_by_spread: true };
        let long = || term(1.0, &[1.0, 2.0, 3.0, 4.0]);
        for short in [vec![1.0, 2.0], vec![1.0, 2.0, 3.0], vec![]] {
            let short = TermScores { name: "short".into(), ..term(1.0, &short) };
            for terms in [[long(), short.clone()], [short, long()]] {
                let error = rule.advantages(&terms, false, 2).unwrap_err();
                assert!(matches!(error, RewardError::Shape(_)), "{error}");
                assert!(error.to_string().contains("`short`"), "{error}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_numbers_of_scores_give_as_many_advantages_or_an_error(
            lengths in proptest::collection::vec(0usize..9, 0..4),
            greedy in proptest::bool::ANY,
            samples in 0usize..4,
            divide_by_spread in proptest::bool::ANY,
            baseline in proptest::sample::select(
                vec![Baseline::Greedy, Baseline::Mean, Baseline::LeaveOneOut, Baseline::None],
            ),
        ) {
            let rule = AdvantageRule { baseline, divide_by_spread };
            let terms: Vec<TermScores> =
                lengths.iter().map(|&length| term(1.0, &vec![0.5; length])).collect();
            let images = lengths.first().map_or(0, |n| n / (usize::from(greedy) + samples).max(1));
            if let Ok(advantages) = rule.advantages(&terms, greedy, samples) {
                proptest::prop_assert_eq!(advantages.len(), images * samples);
            }
        }
    }

    #[test]
    fn every_term_has_its_own_baseline() {
        // Greedy first, then two samples, of one image.
        let clip = term(2.0, &[1.0, 1.5, 0.5]);
        let grammar = TermScores { baseline: Some(Baseline::None), ..term(1.0, &[0.9, 0.2, 0.8]) };
        let rule = AdvantageRule { baseline: Baseline::Greedy, divide_by_spread: false };
        let advantages = rule.advantages(&[clip, grammar], true, 2).unwrap();
        close(&advantages, &[2.0 * 0.5 + 0.2, 2.0 * -0.5 + 0.8]);
    }

    #[test]
    fn a_normalised_term_counts_as_its_weight_says() {
        let rule = AdvantageRule { baseline: Baseline::Mean, divide_by_spread: false };
        let small = TermScores { normalize: true, ..term(2.0, &[0.01, 0.03]) };
        let large = TermScores { normalize: true, ..term(1.0, &[30.0, 10.0]) };
        // Deviations of -1 and 1, and of 1 and -1.
        close(&rule.advantages(&[small, large], false, 2).unwrap(), &[-1.0, 1.0]);
        let flat = TermScores { normalize: true, ..term(1.0, &[0.5, 0.5]) };
        close(&rule.advantages(&[flat], false, 2).unwrap(), &[0.0, 0.0]);
    }

    #[test]
    fn the_spread_of_an_image_divides_its_advantages() {
        let rule = AdvantageRule { baseline: Baseline::Mean, divide_by_spread: true };
        let rewards = term(3.0, &[1.0, 3.0, 10.0, 50.0, 7.0, 7.0]);
        close(&rule.advantages(&[rewards], false, 2).unwrap(), &[-1.0, 1.0, -1.0, 1.0, 0.0, 0.0]);
        let rule = AdvantageRule { baseline: Baseline::LeaveOneOut, ..rule };
        let rewards = term(0.5, &[1.0, 2.0, 6.0, 4.0, 4.0, 4.0]);
        // Distances of -3, -1.5 and 4.5 from the others' mean; a spread of sqrt(14 / 3).
        let spread = (14.0f32 / 3.0).sqrt();
        let expected = [-3.0 / spread, -1.5 / spread, 4.5 / spread, 0.0, 0.0, 0.0];
        close(&rule.advantages(&[rewards], false, 3).unwrap(), &expected);
        let rule = AdvantageRule { baseline: Baseline::None, ..rule };
        let rewards = term(2.0, &[1.0, 3.0]);
        close(&rule.advantages(&[rewards], false, 2).unwrap(), &[1.0, 3.0]);
        // Equal samples that are worse than the greedy caption can't say what would be better.
        let rule = AdvantageRule { baseline: Baseline::Greedy, divide_by_spread: true };
        let rewards = term(1.0, &[1.0, 0.5, 0.5]);
        close(&rule.advantages(&[rewards], true, 2).unwrap(), &[0.0, 0.0]);
    }

    #[test]
    fn equal_samples_teach_nothing_whatever_their_reward() {
        for baseline in [Baseline::Mean, Baseline::LeaveOneOut] {
            for (samples, reward) in (2..12).flat_map(|k| (1..200).map(move |i| (k, i))) {
                let reward = 0.1 * reward as f32;
                let terms =
                    |normalize| [TermScores { normalize, ..term(1.7, &vec![reward; 2 * samples]) }];
                for (normalize, divide_by_spread) in [(true, false), (false, true), (true, true)] {
                    let rule = AdvantageRule { baseline, divide_by_spread };
                    let found = rule.advantages(&terms(normalize), false, samples).unwrap();
                    assert_eq!(found, vec![0.0; 2 * samples], "{samples} of {reward}");
                }
            }
        }
    }
}
