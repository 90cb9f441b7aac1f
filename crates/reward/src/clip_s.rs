//! CLIP-S, the image-text similarity of Hessel et al. (2021).

use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use finecap_clip::ClipPipeline;

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

/// Captions whose embedding is remembered: at `E = 512` they take 128 MiB.
const REMEMBERED: usize = 65_536;

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
/// Pictures are given as embeddings, encoded once by the caller. A caption is encoded once too,
/// however often and for however many pictures it comes back.
pub struct ClipScore {
    config: ClipScoreConfig,
    pipeline: ClipPipeline,
    device: Device,
    /// Unit-length rows.
    images: Vec<Vec<f32>>,
    texts: HashMap<String, Vec<f32>>,
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
        Self { config, pipeline, device, images, texts: HashMap::new() }
    }

    /// Unit-length embeddings of captions, prompt added, for every caption not yet remembered.
    fn remember(&mut self, candidates: &[Candidate]) -> Result<(), RewardError> {
        let mut new: Vec<&str> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for candidate in candidates {
            if !self.texts.contains_key(candidate.text) && seen.insert(candidate.text) {
                new.push(candidate.text);
            }
        }
        if self.texts.len() + new.len() > REMEMBERED {
            // A batch may need captions from before: start over with all of it.
            self.texts.clear();
            new = candidates.iter().map(|c| c.text).collect();
            new.sort_unstable();
            new.dedup();
        }
        if new.is_empty() {
            return Ok(());
        }
        let prompted: Vec<String> = match self.config.prompt.as_str() {
            "" => new.iter().map(|text| text.to_string()).collect(),
            prompt => new.iter().map(|text| format!("{prompt} {text}")).collect(),
        };
        let embeddings = rows(self.pipeline.embed_texts(&prompted, &self.device)?);
        self.texts.extend(new.into_iter().map(str::to_string).zip(embeddings));
        Ok(())
    }
}

impl Reward for ClipScore {
    fn name(&self) -> &str {
        "clip_s"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.images.len())?;
        self.remember(candidates)?;
        let score = |candidate: &Candidate| {
            let text = &self.texts[candidate.text];
            let cosine: f32 =
                self.images[candidate.image].iter().zip(text).map(|(a, b)| a * b).sum();
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
        candidates.iter().map(score).collect()
    }
}

/// Copies a matrix `[N, E]` to the host, row by row.
fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = matrix.dims();
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width.max(1)).map(<[f32]>::to_vec).collect()
}
