//! CLIP-S, the image-text similarity of Hessel et al. (2021), and what is built on it.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use finecap_clip::{ClipPipeline, MAX_LOGIT_SCALE};
use serde::{Deserialize, Serialize};

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
    config: ClipScoreConfig,
    encoder: TextEncoder,
    /// Unit-length rows.
    images: Arc<Vec<Vec<f32>>>,
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
    fn texts(&self, candidates: &[Candidate]) -> Result<Vec<Vec<f32>>, RewardError> {
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
    fn scores(
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

/// Which RefCLIP-S is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefClipDefinition {
    /// Hessel et al. (2021): the cosine to the references counts as it is.
    #[default]
    Hessel,
    /// The code of Cho et al. (2022), which multiplies that cosine with `w` too, so that values
    /// are larger and may exceed 1.
    Inflated,
}

/// RefCLIP-S: the harmonic mean of CLIP-S and the largest cosine to a reference caption.
pub struct RefClipScore {
    clip_s: ClipScore,
    definition: RefClipDefinition,
    references: Vec<Vec<String>>,
}

impl RefClipScore {
    /// Builds on a CLIP-S and the references of each of its pictures.
    ///
    /// # Errors
    /// [`RewardError::References`] for a picture without references, [`RewardError::Shape`] for
    /// another number of pictures.
    pub fn new(
        clip_s: ClipScore,
        definition: RefClipDefinition,
        references: Vec<Vec<String>>,
    ) -> Result<Self, RewardError> {
        if references.len() != clip_s.images.len() {
            return Err(RewardError::Shape(format!(
                "RefCLIP-S needs references for each of {} images, got {}",
                clip_s.images.len(),
                references.len()
            )));
        }
        match references.iter().position(Vec::is_empty) {
            None => Ok(Self { clip_s, definition, references }),
            Some(image) => Err(RewardError::References { reward: "ref_clip_s".into(), image }),
        }
    }
}

impl Reward for RefClipScore {
    fn name(&self) -> &str {
        "ref_clip_s"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.clip_s.images.len())?;
        let texts = self.clip_s.texts(candidates)?;
        let clip_s = self.clip_s.scores(candidates, &texts)?;
        // The references of each picture of the batch, once.
        let mut first: HashMap<usize, usize> = HashMap::new();
        let mut captions: Vec<&str> = Vec::new();
        for candidate in candidates {
            first.entry(candidate.image).or_insert_with(|| {
                captions.extend(self.references[candidate.image].iter().map(String::as_str));
                captions.len() - self.references[candidate.image].len()
            });
        }
        let references = &self.clip_s.encoder.embeddings(&self.clip_s.config.prompt, &captions)?;
        let factor = match self.definition {
            RefClipDefinition::Hessel => 1.0,
            RefClipDefinition::Inflated => self.clip_s.config.weight,
        };
        let score = |((candidate, text), clip_s): ((&Candidate, &Vec<f32>), f32)| {
            let start = first[&candidate.image];
            let own = &references[start..start + self.references[candidate.image].len()];
            let nearest = own.iter().map(|r| dot(r, text)).fold(0.0, f32::max) * factor;
            match clip_s + nearest {
                0.0 => 0.0,
                sum => 2.0 * clip_s * nearest / sum,
            }
        };
        Ok(candidates.iter().zip(&texts).zip(clip_s).map(score).collect())
    }
}

/// How much better a caption fits its own picture than the others in the batch: the logarithm of
/// the probability that CLIP gives the own picture among them, as in its training loss.
///
/// Bounded by 0 from above; a batch of one picture scores 0 throughout. It rewards what tells
/// pictures apart, so a batch should hold many (Chaffin et al. 2024 reward both directions).
pub struct ContrastiveReward {
    clip_s: ClipScore,
    scale: f32,
}

impl ContrastiveReward {
    /// Builds on the pictures and the prompt of a CLIP-S; cosines are multiplied with the model's
    /// own logit scale.
    pub fn new(clip_s: ClipScore) -> Self {
        let scale = clip_s.encoder.pipeline().model.logit_scale();
        let scale = scale.into_scalar::<f32>().exp().min(MAX_LOGIT_SCALE as f32);
        Self { clip_s, scale }
    }
}

impl Reward for ContrastiveReward {
    fn name(&self) -> &str {
        "contrastive"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.clip_s.images.len())?;
        let mut images: Vec<usize> = candidates.iter().map(|c| c.image).collect();
        images.sort_unstable();
        images.dedup();
        let texts = self.clip_s.texts(candidates)?;
        let score = |(candidate, text): (&Candidate, &Vec<f32>)| {
            let logit = |image: usize| self.scale * dot(&self.clip_s.images[image], text);
            let own = logit(candidate.image);
            // Relative to the own picture, so that the sum can't underflow to 0.
            let sum: f32 = images.iter().map(|&image| (logit(image) - own).exp()).sum();
            finite("contrastive", candidate, sum)?;
            Ok(-sum.ln())
        };
        candidates.iter().zip(&texts).map(score).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn finite(reward: &str, candidate: &Candidate, value: f32) -> Result<(), RewardError> {
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

    fn no_prompt(weight: f32) -> ClipScoreConfig {
        ClipScoreConfig { prompt: String::new(), weight }
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

    /// Cosines of some texts to each other, for expectations.
    fn cosines(pipeline: &ClipPipeline, texts: &[&str]) -> Vec<Vec<f32>> {
        let e = pipeline.embed_texts(texts, &Device::flex()).unwrap();
        rows(e.clone().matmul(e.transpose()))
    }

    #[test]
    fn ref_clip_s_is_the_harmonic_mean_with_the_nearest_reference() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let cos = cosines(&pipeline, &["a red star", "a star", "a ring", "red ring"]);
        let image = pipeline.embed_texts(&["a star"], &device).unwrap();
        let references = vec![vec!["a ring".to_string(), "red ring".to_string()]];
        let candidate = [Candidate::new(0, "a red star")];
        for (definition, factor) in
            [(RefClipDefinition::Hessel, 1.0), (RefClipDefinition::Inflated, 2.5)]
        {
            let clip_s = ClipScore::new(no_prompt(2.5), pipeline.clone(), image.clone());
            let mut score = RefClipScore::new(clip_s, definition, references.clone()).unwrap();
            let (a, b) = (2.5 * cos[0][1], factor * cos[0][2].max(cos[0][3]));
            let found = score.score(&candidate).unwrap()[0];
            assert!((found - 2.0 * a * b / (a + b)).abs() < 1e-5, "{found} of {a} and {b}");
        }
        let clip_s = ClipScore::new(no_prompt(2.5), pipeline, image);
        let empty = RefClipScore::new(clip_s, RefClipDefinition::Hessel, vec![vec![]]);
        let message = empty.err().unwrap().to_string();
        assert!(message.contains("image 0") && message.contains("ref_clip_s"), "{message}");
    }

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

    #[test]
    fn rewards_that_share_a_tower_agree_with_those_that_do_not() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let images = pipeline.embed_texts(&["a red star", "a ring"], &device).unwrap();
        let encoder = TextEncoder::new(pipeline.clone(), &device);
        let shared = || ClipScore::with_encoder(no_prompt(1.0), encoder.clone(), images.clone());
        let (mut first, mut second) = (shared(), ContrastiveReward::new(shared()));
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
