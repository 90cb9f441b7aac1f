//! CLIP-S, the image-text similarity of Hessel et al. (2021).

use burn::tensor::{Device, Tensor};
use finecap_clip::ClipPipeline;

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

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
/// in a batch is encoded once. Nothing is remembered from batch to batch: the last bits of an
/// embedding depend on what it is encoded with, and a resumed run must see the same ones.
pub struct ClipScore {
    config: ClipScoreConfig,
    pipeline: ClipPipeline,
    device: Device,
    /// Unit-length rows.
    images: Vec<Vec<f32>>,
}

impl ClipScore {
    /// # Shapes
    /// - images: `[M, E]`, any length: rows are normalised here
    pub fn new(config: ClipScoreConfig, pipeline: ClipPipeline, images: Tensor<2>) -> Self {
        let device = images.device().without_autodiff();
        let mut images = rows(images);
        for row in &mut images {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        Self { config, pipeline, device, images }
    }
}

impl Reward for ClipScore {
    fn name(&self) -> &str {
        "clip_s"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.images.len())?;
        let prompt = self.config.prompt.as_str();
        let texts: Vec<String> = candidates
            .iter()
            .map(|candidate| match prompt {
                "" => candidate.text.to_string(),
                prompt => format!("{prompt} {}", candidate.text),
            })
            .collect();
        let texts = rows(self.pipeline.embed_texts(&texts, &self.device)?);
        let score = |(candidate, text): (&Candidate, &Vec<f32>)| {
            let image = &self.images[candidate.image];
            let cosine: f32 = image.iter().zip(text).map(|(a, b)| a * b).sum();
            // `f32::max` would turn a NaN into 0 and hide broken weights.
            if cosine.is_finite() {
                Ok(self.config.weight * cosine.max(0.0))
            } else {
                Err(RewardError::NotFinite {
                    reward: "clip_s".into(),
                    caption: candidate.text.into(),
                })
            }
        };
        candidates.iter().zip(&texts).map(score).collect()
    }
}

/// Copies a matrix `[N, E]` to the host, row by row.
fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = matrix.dims();
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use finecap_clip::{ClipConfig, ClipTokenizer, PreprocessConfig, normalize};

    use super::*;

    fn pipeline(device: &Device) -> ClipPipeline {
        let words = ["a", "photo", "depicts", "red", "star", "ring"];
        let tokenizer = ClipTokenizer::from_words(words).unwrap();
        let config =
            ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
        device.seed(1);
        let model = config.init(device).unwrap();
        ClipPipeline::new(config, model, tokenizer, PreprocessConfig::openai(48)).unwrap()
    }

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
        let config = ClipScoreConfig { prompt: String::new(), weight: 1.0 };
        let mut score = ClipScore::new(config, pipeline, normalize(image));
        let scores = score.score(&[Candidate::new(0, "a ring")]).unwrap();
        assert!((scores[0] - 1.0).abs() < 1e-5, "{scores:?}");
    }
}
