//! Captions of held-out images, and what they are worth.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use finecap_captioner::{CaptionModel, CaptionerPipeline, Decoding, Draws};
use finecap_clip::normalize;
use finecap_metrics::{Ranks, TextStatistics, Ties, bleu, cider_d};
use finecap_reward::{Candidate, ClipScore, ClipScoreConfig, RefClipScore, Reward, TextEncoder};
use finecap_scenes::Claim;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::read_json;
use crate::config::RewardSettings;
use crate::data::Dataset;
use crate::features::FeatureStore;
use crate::rewards::RewardModels;
use crate::table::{Scores, numbers};

/// Images decoded together.
const BATCH: usize = 64;

/// One caption of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captioned {
    /// The caption.
    pub text: String,
    /// Whether it ended before the length limit.
    pub ended: bool,
}

/// Greedy captions of some images of the data set, in order, each of at most the model's
/// `max_len` tokens. The model must record no gradients.
///
/// # Errors
/// Features of another kind than the captioner was trained on, and those of
/// [`CaptionModel::decode_features`].
pub fn greedy_captions<M: CaptionModel>(
    captioner: &CaptionerPipeline<M>,
    features: &FeatureStore,
    images: &[usize],
    device: &Device,
) -> Result<Vec<Captioned>, TrainError> {
    let CaptionerPipeline { model, vocab } = captioner;
    model.check_spec(features.spec())?;
    let decoding = Decoding::greedy(model.max_len());
    let mut captions = Vec::with_capacity(images.len());
    for chunk in images.chunks(BATCH) {
        let keys: Vec<u64> = chunk.iter().map(|&image| image as u64).collect();
        let draws = Draws { seed: 0, step: 0, images: &keys };
        let decoded = model.decode_features(features.grids(chunk, device), &decoding, &draws)?;
        for caption in decoded.into_iter().filter_map(|image| image.greedy) {
            let text = vocab.decode(&caption.ids);
            captions.push(Captioned { text, ended: caption.ended });
        }
    }
    Ok(captions)
}

/// Scores of one captioner on held-out images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// CIDEr-D, document frequencies from the references of the same images.
    pub cider: f64,
    /// BLEU-4 of all captions together.
    pub bleu4: f64,
    /// Mean CLIP-S.
    pub clip_s: f64,
    /// Mean RefCLIP-S.
    pub ref_clip_s: f64,
    /// Percentage of captions whose own image comes first among all (text-to-image retrieval).
    pub r1: f64,
    /// The same among the first 5.
    pub r5: f64,
    /// The same among the first 10.
    pub r10: f64,
    /// Mean probability of being a sentence, where there is a grammar model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammar: Option<f64>,
    /// Mean length in words.
    pub length: f64,
    /// Different captions.
    pub distinct: usize,
}

/// One caption with its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredCaption {
    /// Name of the image.
    pub image: String,
    /// The caption.
    pub caption: String,
    /// What people said.
    pub references: Vec<String>,
    /// CIDEr-D of this caption.
    pub cider: f64,
    /// CLIP-S of this caption.
    pub clip_s: f64,
    /// RefCLIP-S of this caption.
    pub ref_clip_s: f64,
    /// Place of the own image among all, best 1.
    pub rank: usize,
    /// Probability of being a sentence, where there is a grammar model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammar: Option<f64>,
    /// Whether an exact judge calls it a sentence, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grammatical: Option<bool>,
    /// What it claims, and whether that is true, where an exact judge knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
}

/// What captions are scored against.
pub struct Evaluator<'a> {
    /// The references.
    pub dataset: &'a Dataset,
    /// The image embeddings.
    pub features: &'a FeatureStore,
    /// The CLIP, and the grammar model if there is one.
    pub models: RewardModels<'a>,
    /// Prompt and weight of CLIP-S; the CLIP that scores is always the one that was not tuned.
    pub settings: &'a RewardSettings,
    /// Where to compute.
    pub device: &'a Device,
}

impl Evaluator<'_> {
    /// Greedy captions of `images`, scored as by [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// Those of decoding and of the metrics.
    pub fn evaluate_model<M: CaptionModel>(
        &self,
        captioner: &CaptionerPipeline<M>,
        images: &[usize],
    ) -> Result<(Evaluation, Vec<ScoredCaption>), TrainError> {
        let captions = greedy_captions(captioner, self.features, images, self.device)?;
        self.evaluate(&captions, images)
    }

    /// Scores one caption for each of `images`.
    ///
    /// Retrieval uses no prompt, as the paper's evaluation.
    ///
    /// # Errors
    /// Embeddings of another CLIP; those of the metrics, for an empty list.
    pub fn evaluate(
        &self,
        captions: &[Captioned],
        images: &[usize],
    ) -> Result<(Evaluation, Vec<ScoredCaption>), TrainError> {
        self.features.check_clip(self.models.clip)?;
        let texts: Vec<&str> = captions.iter().map(|c| c.text.as_str()).collect();
        let references: Vec<Vec<String>> =
            images.iter().map(|&image| self.dataset.images[image].captions.clone()).collect();
        let cider = cider_d(&texts, &references)?;
        let bleu = bleu(&texts, &references)?;
        let statistics = TextStatistics::of(&texts)?;

        let embeddings = self.features.embeddings(images, self.device);
        let encoder = TextEncoder::new(self.models.clip.clone(), self.device);
        let settings = self.settings;
        let config = ClipScoreConfig { prompt: settings.prompt.clone(), weight: settings.clip_s_w };
        let mut clip = ClipScore::with_encoder(config, encoder.clone(), embeddings.clone());
        let definition = settings.ref_clip_s_definition;
        let mut ref_clip = RefClipScore::new(clip.clone(), definition, &references)?;
        // Just before CLIP-S, so that without a prompt it finds these captions encoded.
        let states = encoder.states("", &texts)?;
        let bare = normalize(self.models.clip.model.project_text(states));
        let candidates: Vec<Candidate> =
            texts.iter().enumerate().map(|(row, text)| Candidate::new(row, text)).collect();
        let clip_s = clip.score(&candidates)?;
        let ref_clip_s = ref_clip.score(&candidates)?;
        let grammar = match self.models.grammar {
            Some(scorer) => Some(scorer.probabilities(&texts, self.device)?),
            None => None,
        };

        let texts_by_images = bare.matmul(embeddings.transpose());
        let similarities: Vec<f32> = texts_by_images.into_data().iter::<f32>().collect();
        let own: Vec<usize> = (0..texts.len()).collect();
        let ranks = Ranks::new(&similarities, images.len(), &own, Ties::Fair)?;

        let evaluation = Evaluation {
            cider: cider.corpus,
            bleu4: bleu.corpus[3],
            clip_s: mean(&clip_s),
            ref_clip_s: mean(&ref_clip_s),
            r1: ranks.recall(1),
            r5: ranks.recall(5),
            r10: ranks.recall(10),
            grammar: grammar.as_deref().map(mean),
            length: statistics.mean_words,
            distinct: statistics.distinct,
        };
        let scored = (images.iter().zip(references).enumerate())
            .map(|(row, (&image, references))| ScoredCaption {
                image: self.dataset.images[image].name.clone(),
                caption: captions[row].text.clone(),
                references,
                cider: cider.per_image[row],
                clip_s: clip_s[row].into(),
                ref_clip_s: ref_clip_s[row].into(),
                rank: ranks.as_slice()[row],
                grammar: grammar.as_ref().map(|g| g[row].into()),
                grammatical: None,
                claims: Vec::new(),
            })
            .collect();
        Ok((evaluation, scored))
    }
}

pub(crate) fn mean(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64
}

/// What `evaluation.json` holds: one captioner on held-out images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationFile {
    /// Name of the captioner in tables.
    pub name: String,
    /// Place among the captioners it is compared with.
    pub order: usize,
    /// Seed it was trained with.
    pub seed: u64,
    /// How the captions were decoded.
    pub decoding: String,
    /// Folder of the pictures; relative to the file, or absolute.
    pub pictures: PathBuf,
    /// The scores over all captions, by name.
    pub scores: Scores,
    /// Every caption.
    pub captions: Vec<ScoredCaption>,
}

impl EvaluationFile {
    /// Collects what is to be written, with the numbers of `scores` as they are serialised.
    pub fn new(
        name: impl Into<String>,
        order: usize,
        seed: u64,
        pictures: impl Into<PathBuf>,
        scores: &impl Serialize,
        captions: Vec<ScoredCaption>,
    ) -> Self {
        let scores = numbers(scores);
        let (name, pictures) = (name.into(), pictures.into());
        Self { name, order, seed, decoding: "greedy".into(), pictures, scores, captions }
    }

    /// Reads `evaluation.json` in `dir`.
    ///
    /// # Errors
    /// [`TrainError::Io`] and [`TrainError::File`], naming the file.
    pub fn read(dir: &Path) -> Result<Self, TrainError> {
        read_json(&dir.join("evaluation.json"))
    }

    /// Writes `evaluation.json` in `dir`.
    ///
    /// # Errors
    /// [`TrainError::Io`] where writing fails.
    pub fn write(&self, dir: &Path) -> Result<(), TrainError> {
        Ok(finecap_files::write_json(&dir.join("evaluation.json"), self)?)
    }
}
