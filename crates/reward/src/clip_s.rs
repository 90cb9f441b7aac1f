//! CLIP-S, the image-text similarity of Hessel et al. (2021).

use std::sync::Arc;

use burn::tensor::Tensor;
use finecap_clip::ClipPipeline;

use crate::reward::check_images;
use crate::text_encoder::rows;
use crate::{Candidate, Reward, RewardError, TextEncoder};

/// Constants of the score; the defaults are the published ones.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipScoreConfig {
    /// Put before every caption, with a space between; may be empty.
    pub prompt: String,
    /// Factor `w` on the cosine.
    pub weight: f32,
}

impl Default for ClipScoreConfig {
    fn default() -> Self {
        Self { prompt: "A photo depicts".into(), weight: 2.5 }
    }
}

/// `w · max(cos(image, text), 0)` from frozen CLIP encoders.
///
/// Pictures are given as embeddings, encoded once by the caller. A caption that occurs several times
/// in a batch is encoded once. Clones share the text tower and the pictures.
#[derive(Clone)]
pub struct ClipScore {
    pub(crate) config: ClipScoreConfig,
    pub(crate) encoder: TextEncoder,
    /// Unit-length rows.
    pub(crate) images: Arc<Vec<Vec<f32>>>,
}

impl ClipScore {
    /// A score with a text tower of its own.
    ///
    /// # Shapes
    /// - images: `[M, E]`, any length: rows are normalised here
    pub fn new(config: ClipScoreConfig, pipeline: ClipPipeline, images: Tensor<2>) -> Self {
        let device = images.device().without_autodiff();
        Self::with_encoder(config, TextEncoder::new(pipeline, &device), images)
    }

    /// A score that shares its text tower with other rewards; otherwise as [`new`](Self::new).
    pub fn with_encoder(config: ClipScoreConfig, encoder: TextEncoder, images: Tensor<2>) -> Self {
        let mut images = rows(images);
        for row in &mut images {
            let norm = dot(row, row).sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        Self { config, encoder, images: Arc::new(images) }
    }

    /// Embeddings of the candidates' captions.
    pub(crate) fn texts(&self, candidates: &[Candidate]) -> Result<Vec<Vec<f32>>, RewardError> {
        let texts: Vec<&str> = candidates.iter().map(|c| c.text).collect();
        let texts = self.encoder.embeddings(&self.config.prompt, &texts)?;
        match (texts.first().map(Vec::len), self.images.first().map(Vec::len)) {
            (Some(text), Some(image)) if text != image => Err(RewardError::Shape(format!(
                "captions are embedded in {text} numbers and pictures in {image}: use pictures \
                 that the same CLIP has embedded"
            ))),
            _ => Ok(texts),
        }
    }

    /// Scores from embeddings that are there already.
    pub(crate) fn scores(
        &self,
        candidates: &[Candidate],
        texts: &[Vec<f32>],
    ) -> Result<Vec<f32>, RewardError> {
        let score = |(candidate, text): (&Candidate, &Vec<f32>)| {
            let cosine = dot(&self.images[candidate.image], text);
            // `f32::max` would turn a NaN into 0 and hide broken weights.
            finite("clip_s", candidate, cosine)?;
            Ok(self.config.weight * cosine.max(0.0))
        };
        candidates.iter().zip(texts).map(score).collect()
    }
}

impl Reward for ClipScore {
    fn name(&self) -> &str {
        "clip_s"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.images.len())?;
        self.scores(candidates, &self.texts(candidates)?)
    }
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `value`'s NaN or infinity as an error that names the caption.
pub(crate) fn finite(reward: &str, candidate: &Candidate, value: f32) -> Result<(), RewardError> {
    match value.is_finite() {
        true => Ok(()),
        false => {
            Err(RewardError::NotFinite { reward: reward.into(), caption: candidate.text.into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use finecap_clip::normalize;

    use super::*;
    use crate::testing::{no_prompt, pipeline};

    #[test]
    fn the_score_is_the_scaled_cosine_and_never_negative() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let text = pipeline.embed_texts(&["A photo depicts a red star"], &device).unwrap();
        // One picture that looks like the caption, one that looks like its opposite, and neither
        // of length 1.
        let images = Tensor::cat(vec![text.clone() * 3.0, text * -0.5], 0);
        let mut score = ClipScore::new(ClipScoreConfig::default(), pipeline, images);
        let candidates = [
            Candidate::new(0, "a red star"),
            Candidate::new(1, "a red star"),
            Candidate::new(0, "a ring"),
            Candidate::new(0, "a red star"),
        ];
        let scores = score.score(&candidates).unwrap();
        assert!((scores[0] - 2.5).abs() < 1e-5, "{scores:?}");
        assert_eq!(scores[1], 0.0);
        assert!(scores[2] < scores[0]);
        assert_eq!(scores[3], scores[0]);
        let unknown = score.score(&[Candidate::new(2, "a ring")]).unwrap_err().to_string();
        assert!(unknown.contains("image 2") && unknown.contains("clip_s"), "{unknown}");
    }

    #[test]
    fn prompt_and_weight_are_options() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let image = pipeline.embed_texts(&["a ring"], &device).unwrap();
        let mut score = ClipScore::new(no_prompt(1.0), pipeline, normalize(image));
        let scores = score.score(&[Candidate::new(0, "a ring")]).unwrap();
        assert!((scores[0] - 1.0).abs() < 1e-5, "{scores:?}");
    }

    #[test]
    fn pictures_of_another_clip_are_refused() {
        let device = Device::flex();
        let images = Tensor::ones([1, 3], &device);
        let mut score = ClipScore::new(no_prompt(1.0), pipeline(&device), images);
        let error = score.score(&[Candidate::new(0, "a ring")]).unwrap_err().to_string();
        assert!(error.contains("pictures in 3"), "{error}");
    }

    #[test]
    fn rewards_that_share_a_tower_agree_with_those_that_do_not() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let images = pipeline.embed_texts(&["a red star", "a ring"], &device).unwrap();
        let encoder = TextEncoder::new(pipeline.clone(), &device);
        let shared = || ClipScore::with_encoder(no_prompt(1.0), encoder.clone(), images.clone());
        let (mut first, mut second) = (shared(), crate::ContrastiveReward::new(shared()));
        let mut alone = ClipScore::new(no_prompt(1.0), pipeline, images.clone());
        for text in ["a star", "red ring"] {
            let candidates = [Candidate::new(0, text), Candidate::new(1, text)];
            let expected = alone.score(&candidates).unwrap();
            assert_eq!(first.score(&candidates).unwrap(), expected);
            second.score(&candidates).unwrap();
            assert_eq!(first.score(&candidates).unwrap(), expected);
        }
    }
}
