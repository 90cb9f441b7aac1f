//! A reward for fitting the own picture better than others.

use finecap_clip::MAX_LOGIT_SCALE;

use crate::clip_s::{dot, finite};
use crate::reward::check_images;
use crate::{Candidate, ClipScore, Reward, RewardError};

/// How much better a caption fits its own picture than the others in the batch: the logarithm of
/// the probability that CLIP gives the own picture among them, as in its training loss.
///
/// Bounded by 0 from above; a batch of one picture scores 0 throughout. It rewards what sets
/// pictures apart, so a batch should hold many (Chaffin et al. 2024 reward both directions).
pub struct ContrastiveReward {
    clip_s: ClipScore,
    scale: f32,
}

impl ContrastiveReward {
    /// Builds on the pictures and the prompt of a CLIP-S; cosines are multiplied with the model's
    /// own logit scale, at most [`MAX_LOGIT_SCALE`].
    pub fn new(clip_s: ClipScore) -> Self {
        let scale = clip_s.encoder.pipeline().model.logit_scale();
        let scale = scale.into_scalar::<f32>().exp().min(MAX_LOGIT_SCALE as f32);
        Self { clip_s, scale }
    }

    /// Scores from the captions' embeddings.
    fn scores(
        &self,
        candidates: &[Candidate],
        texts: &[Vec<f32>],
    ) -> Result<Vec<f32>, RewardError> {
        let mut images: Vec<usize> = candidates.iter().map(|c| c.image).collect();
        images.sort_unstable();
        images.dedup();
        let score = |(candidate, text): (&Candidate, &Vec<f32>)| {
            let logit = |image: usize| self.scale * dot(&self.clip_s.images[image], text);
            let mut logits = Vec::with_capacity(images.len());
            for &image in &images {
                let value = logit(image);
                finite("contrastive", candidate, value)?;
                logits.push(value);
            }
            Ok(logit(candidate.image) - log_sum_exp(&logits))
        };
        candidates.iter().zip(texts).map(score).collect()
    }
}

impl Reward for ContrastiveReward {
    fn name(&self) -> &str {
        "contrastive"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.clip_s.images.len())?;
        self.scores(candidates, &self.clip_s.texts(candidates)?)
    }
}

/// `ln Σ exp(x)`, relative to the largest `x`: no term overflows, and one of them is 1.
fn log_sum_exp(values: &[f32]) -> f32 {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + values.iter().map(|value| (value - largest).exp()).sum::<f32>().ln()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use serde::Deserialize;

    use super::*;
    use crate::testing::{cosines, no_prompt, pipeline};

    #[test]
    fn the_contrastive_reward_is_a_log_softmax_over_the_batch() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let cos = cosines(&pipeline, &["a red star", "a ring", "a red ring"]);
        let images = pipeline.embed_texts(&["a red star", "a ring", "star"], &device).unwrap();
        let scale = pipeline.model.logit_scale().into_scalar::<f32>().exp();
        let mut reward = ContrastiveReward::new(ClipScore::new(no_prompt(1.0), pipeline, images));
        // The third picture is not in the batch.
        let candidates = [Candidate::new(0, "a red ring"), Candidate::new(1, "a red ring")];
        let scores = reward.score(&candidates).unwrap();
        let p = |own: usize, other: usize| {
            let (a, b) = ((scale * cos[2][own]).exp(), (scale * cos[2][other]).exp());
            (a / (a + b)).ln()
        };
        assert!((scores[0] - p(0, 1)).abs() < 1e-3, "{scores:?}");
        assert!((scores[1] - p(1, 0)).abs() < 1e-3, "{scores:?}");
        assert_eq!(reward.score(&candidates[..1]).unwrap(), [0.0]);
    }

    /// What `fixtures/contrastive.py` writes: unit vectors and PyTorch's log-softmax over them.
    #[derive(Deserialize)]
    struct Golden {
        scale: f32,
        images: Vec<[f32; 2]>,
        texts: Vec<Vec<f32>>,
        expected: Vec<f32>,
    }

    #[test]
    fn scores_are_pytorchs_at_any_distance() {
        let path =
            std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../../fixtures/contrastive.json";
        let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let device = Device::flex();
        let count = golden.images.len();
        let images = TensorData::new(golden.images.concat(), [count, 2]);
        let images = Tensor::<2>::from_data(images, &device);
        let clip_s = ClipScore::new(no_prompt(1.0), pipeline(&device), images);
        let reward = ContrastiveReward { clip_s, scale: golden.scale };
        let candidates: Vec<Candidate> = (0..count).map(|i| Candidate::new(i, "a")).collect();
        let found = reward.scores(&candidates, &golden.texts).unwrap();
        // The first caption is the opposite of its own picture, and another one's double.
        assert!(golden.expected[0] < -199.0, "{}", golden.expected[0]);
        for (found, expected) in found.iter().zip(&golden.expected) {
            assert!(
                (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn what_is_not_a_number_is_named() {
        let device = Device::flex();
        let images = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 1.0]], &device);
        let clip_s = ClipScore::new(no_prompt(1.0), pipeline(&device), images);
        let reward = ContrastiveReward { clip_s, scale: 100.0 };
        let texts = [vec![1.0, f32::NAN], vec![1.0, 0.0]];
        let candidates = [Candidate::new(0, "a ring"), Candidate::new(1, "a star")];
        let message = reward.scores(&candidates, &texts).unwrap_err().to_string();
        assert!(message.contains("contrastive") && message.contains("a ring"), "{message}");
    }
}
