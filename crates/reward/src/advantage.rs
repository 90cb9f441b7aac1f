//! From rewards to advantages: what a sample is compared with.

use serde::{Deserialize, Serialize};

use crate::RewardError;

/// The baseline that is subtracted from a sample's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The reward of the greedy caption of the same image: self-critical training as in Rennie
    /// et al. (2017) and in Cho et al. (2022).
    #[default]
    Greedy,
    /// The mean reward of the other samples of the same image (leave-one-out, RLOO; Luo 2020).
    /// Needs no greedy caption and at least two samples.
    LeaveOneOut,
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
            Self::LeaveOneOut if k < 2 => Err(RewardError::Shape(
                "the leave-one-out baseline needs at least 2 samples per image".into(),
            )),
            Self::LeaveOneOut => Ok(groups
                .flat_map(|group| {
                    let sum: f32 = group.iter().sum();
                    group.iter().map(move |r| r - (sum - r) / (k - 1) as f32)
                })
                .collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_subtracts_the_image_own_baseline() {
        let advantages = Baseline::Greedy.advantages(&[1.0, 2.0, 5.0, 3.0], &[1.5, 4.0], 2);
        assert_eq!(advantages.unwrap(), [-0.5, 0.5, 1.0, -1.0]);
    }

    #[test]
    fn leave_one_out_is_the_scaled_distance_from_the_mean() {
        // K/(K-1) · (r - mean), Ahmadian et al. (2024).
        let rewards = [1.0, 2.0, 6.0, 4.0, 4.0, 4.0];
        let advantages = Baseline::LeaveOneOut.advantages(&rewards, &[], 3).unwrap();
        for (group, expected) in advantages.chunks(3).zip([[-3.0, -1.5, 4.5], [0.0; 3]]) {
            for (a, e) in group.iter().zip(expected) {
                assert!((a - e).abs() < 1e-6, "{advantages:?}");
            }
        }
    }

    #[test]
    fn wrong_counts_are_errors() {
        assert!(Baseline::Greedy.advantages(&[1.0, 2.0, 3.0], &[0.0], 2).is_err());
        assert!(Baseline::Greedy.advantages(&[1.0, 2.0], &[], 2).is_err());
        assert!(Baseline::LeaveOneOut.advantages(&[1.0], &[], 1).is_err());
    }
}
