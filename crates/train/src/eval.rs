//! Captions of held-out images, and what they are worth.

use burn::tensor::Device;
use finecap_captioner::{Captioner, Decoding, Draws, Vocab};
use finecap_clip::ClipPipeline;
use finecap_metrics::{Ranks, Ties, cider_d};
use finecap_reward::{Candidate, ClipScore, ClipScoreConfig, Reward};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::config::RewardSettings;
use crate::data::Dataset;
use crate::features::FeatureStore;

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

/// Greedy captions of some images of the data set, in order.
///
/// # Errors
/// Those of [`Captioner::decode`].
pub fn greedy_captions(
    model: &Captioner,
    vocab: &Vocab,
    features: &FeatureStore,
    images: &[usize],
    max_len: usize,
    device: &Device,
) -> Result<Vec<Captioned>, TrainError> {
    let decoding = Decoding::greedy(max_len);
    let mut captions = Vec::with_capacity(images.len());
    for chunk in images.chunks(BATCH) {
        let keys: Vec<u64> = chunk.iter().map(|&image| image as u64).collect();
        let draws = Draws { seed: 0, step: 0, images: &keys };
        let decoded = model.decode(features.grids(chunk, device), &decoding, &draws)?;
        for caption in decoded.into_iter().filter_map(|image| image.greedy) {
            let text = vocab.decode(&caption.ids);
            captions.push(Captioned { text, ended: caption.ended });
        }
    }
    Ok(captions)
}

/// Mean of a reward over captions, one for each of `images` as the reward numbers them.
pub(crate) fn mean_score(
    reward: &mut dyn Reward,
    images: impl IntoIterator<Item = usize>,
    captions: &[Captioned],
) -> Result<f64, TrainError> {
    let candidates: Vec<Candidate> = images
        .into_iter()
        .zip(captions)
        .map(|(image, c)| Candidate { image, text: &c.text, ended: c.ended })
        .collect();
    let scores = reward.score(&candidates)?;
    Ok(scores.iter().map(|&s| f64::from(s)).sum::<f64>() / scores.len().max(1) as f64)
}

/// Scores of one captioner on held-out images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// CIDEr-D, document frequencies from the references of the same images.
    pub cider: f64,
    /// Mean CLIP-S.
    pub clip_s: f64,
    /// Percentage of captions whose own image comes first among all (text-to-image retrieval).
    pub r1: f64,
    /// The same among the first 5.
    pub r5: f64,
    /// The same among the first 10.
    pub r10: f64,
    /// Mean length in words.
    pub length: f64,
    /// Different captions.
    pub distinct: usize,
}

/// Scores one caption for each of `images`.
///
/// Retrieval uses no prompt, as the paper's evaluation.
///
/// # Errors
/// Those of the metrics, for an empty list.
pub fn evaluate(
    captions: &[Captioned],
    images: &[usize],
    dataset: &Dataset,
    features: &FeatureStore,
    pipeline: &ClipPipeline,
    settings: &RewardSettings,
    device: &Device,
) -> Result<Evaluation, TrainError> {
    let texts: Vec<&str> = captions.iter().map(|c| c.text.as_str()).collect();
    let references: Vec<&[String]> =
        images.iter().map(|&image| dataset.images[image].captions.as_slice()).collect();
    let cider = cider_d(&texts, &references)?.corpus;

    let embeddings = features.embeddings(images, device);
    let config = ClipScoreConfig { prompt: settings.prompt.clone(), weight: settings.clip_s_w };
    let mut clip_s = ClipScore::new(config, pipeline.clone(), embeddings.clone());
    let clip_s = mean_score(&mut clip_s, 0.., captions)?;
    let texts_by_images = pipeline.embed_texts(&texts, device)?.matmul(embeddings.transpose());
    let similarities: Vec<f32> = texts_by_images.into_data().iter::<f32>().collect();
    let own: Vec<usize> = (0..texts.len()).collect();
    let ranks = Ranks::new(&similarities, images.len(), &own, Ties::Fair)?;

    let words: usize = texts.iter().map(|text| text.split_whitespace().count()).sum();
    let mut distinct = texts.clone();
    distinct.sort_unstable();
    distinct.dedup();
    Ok(Evaluation {
        cider,
        clip_s,
        r1: ranks.recall(1),
        r5: ranks.recall(5),
        r10: ranks.recall(10),
        length: words as f64 / texts.len() as f64,
        distinct: distinct.len(),
    })
}
