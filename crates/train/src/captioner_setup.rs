//! A captioner with fresh weights, of the sizes that the settings ask for.

use finecap_captioner::{CaptionerConfig, CaptionerPipeline, FeatureSpec, Vocab};

use crate::TrainError;
use crate::config::Config;
use crate::data::{Dataset, Split};
use crate::features::FeatureStore;
use crate::job::Job;
use crate::memory::Memory;
use crate::seeds::{Purpose, number};

/// A captioner as [`train_mle`](crate::train_mle) begins with: the sizes of the settings, the
/// vocabulary of the training captions, and weights drawn with the settings' seed.
///
/// # Errors
/// A data set without training images, sizes that no captioner can have.
pub fn fresh_captioner(
    job: &Job,
    features: &FeatureStore,
) -> Result<CaptionerPipeline, TrainError> {
    let vocab = captioner_vocab(job.dataset, job.config)?;
    let sizes = &job.config.captioner;
    let (d, ff, words) = (sizes.d_model, sizes.d_ff, vocab.len());
    Memory::default()
        .floats("word embeddings", &[4, 2, words, d])
        .floats("the encoder's weights", &[4, sizes.n_encoder_layers, 4, d, d])
        .floats("the encoder's feed-forward weights", &[4, sizes.n_encoder_layers, 2, d, ff])
        .floats("the decoder's weights", &[4, sizes.n_decoder_layers, 8, d, d])
        .floats("the decoder's feed-forward weights", &[4, sizes.n_decoder_layers, 2, d, ff])
        .check("captioner", job.device)?;
    job.device.seed(number(job.config.seed, 2, Purpose::Weights));
    let config = captioner_config(job.config, features.spec(), vocab.len());
    Ok(CaptionerPipeline { model: config.init(job.device)?, vocab })
}

/// The vocabulary that a captioner trained on this data set has: the frequent words of the
/// training captions.
///
/// # Errors
/// A data set without training images.
pub fn captioner_vocab(dataset: &Dataset, config: &Config) -> Result<Vocab, TrainError> {
    let images = training_images(dataset)?;
    let words = images.iter().flat_map(|&image| dataset.words(image));
    let sizes = &config.captioner;
    Ok(Vocab::build(words, sizes.count_threshold, sizes.max_reference_len)?)
}

/// The images of the training split.
///
/// # Errors
/// A data set without any.
pub(crate) fn training_images(dataset: &Dataset) -> Result<Vec<usize>, TrainError> {
    let images = dataset.split(Split::Train);
    match images.is_empty() {
        true => Err(TrainError::setting("data", "has no training images")),
        false => Ok(images),
    }
}

fn captioner_config(config: &Config, features: &FeatureSpec, vocab_size: usize) -> CaptionerConfig {
    let sizes = &config.captioner;
    CaptionerConfig {
        feature_dim: features.grid[1],
        vocab_size,
        d_model: sizes.d_model,
        d_ff: sizes.d_ff,
        n_heads: sizes.n_heads,
        n_encoder_layers: sizes.n_encoder_layers,
        n_decoder_layers: sizes.n_decoder_layers,
        dropout: sizes.dropout,
        feature_dropout: sizes.feature_dropout,
        max_len: sizes.max_len,
        norm: sizes.norm,
        features: Some(features.clone()),
    }
}
