//! The MLE phase: the captioner learns to imitate the reference captions.

use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use finecap_captioner::{Captioner, CaptionerConfig, FeatureSpec, Teacher, Vocab, token_log_probs};
use finecap_reward::CiderReward;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::TrainError;
use crate::clip::names;
use crate::config::Config;
use crate::data::{Dataset, Split, batch};
use crate::eval::{greedy_captions, mean_score};
use crate::features::FeatureStore;
use crate::fingerprint::data_fingerprint;
use crate::gradients::clip_global_norm;
use crate::phase::{Numbers, Phase};
use crate::seeds::{Purpose, number, stream};

/// Trains a captioner with token-mean cross entropy on the training split, and leaves it in
/// `run/mle/model`.
///
/// # Errors
/// A run folder that belongs to other settings, numbers that are not finite.
pub fn train_mle(
    run: &Path,
    config: &Config,
    dataset: &Dataset,
    features: &FeatureStore,
    device: &Device,
    resume: bool,
) -> Result<(Captioner, Vocab), TrainError> {
    let settings = &config.mle;
    let vocab = captioner_vocab(dataset, config)?;
    let images = dataset.split(Split::Train);
    let autodiff = device.clone().autodiff();
    let mut phase =
        Phase::open(run, "mle", config, settings.steps, data_fingerprint(dataset), resume)?;

    let sizes = &config.captioner;
    let encoded: Vec<Vec<Vec<u32>>> = (0..dataset.images.len())
        .map(|image| dataset.words(image).map(|words| vocab.encode(&words)).collect())
        .collect();

    autodiff.seed(number(config.seed, 2, Purpose::Weights));
    let model = captioner_config(config, features.spec(), vocab.len()).init(&autodiff)?;
    // Betas and epsilon as in the reference (Vaswani et al. 2017).
    let optimizer = AdamConfig::new().with_beta_2(0.98).with_epsilon(1e-9).init();
    let (mut model, mut optimizer) = phase.restore(model, optimizer)?;
    let mut cider = validation_cider(dataset, config)?;

    for step in phase.remaining() {
        let chosen = batch(&images, config.seed, step - 1, settings.batch_size);
        let mut rng = stream(config.seed, step as u64, Purpose::Captions);
        let captions: Vec<&[u32]> = chosen
            .iter()
            .flat_map(|&image| pick(&encoded[image], settings.captions_per_image, &mut rng))
            .collect();
        let teacher = Teacher::new(&captions, sizes.max_len, &autodiff);

        // Dropout is the one thing drawn on the device.
        autodiff.seed(number(config.seed, step as u64, Purpose::Dropout));
        let memory = model.encode(features.grids(&chosen, &autodiff));
        let logits = model.logits(&memory, teacher.inputs.clone());
        let log_probs = token_log_probs(logits, teacher.targets.clone());
        let loss = -masked_mean(log_probs, teacher.mask.clone());

        let value = f64::from(loss.clone().into_scalar::<f32>());
        phase.check_finite(step, "loss", value, &names(dataset, &chosen))?;
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &names(dataset, &chosen))?;
        let lr = settings.schedule.lr(step, settings.steps, config.captioner.d_model);
        model = optimizer.step(lr, model, gradients);

        phase.log_step(
            step,
            vec![
                ("loss".into(), value),
                ("lr".into(), lr),
                ("gradient_norm".into(), norm),
                ("caption_length".into(), mean_length(&teacher)),
            ],
        )?;
        if phase.is_checkpoint(step) {
            let numbers =
                validate(&model.valid(), &vocab, &mut cider, config, dataset, features, device)?;
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
    }

    let model = phase.finish(model, |model, dir| Ok(model.valid().save(dir, &vocab)?))?;
    Ok((model.valid(), vocab))
}

/// The vocabulary that a captioner trained on this data set has: the frequent words of the
/// training captions.
///
/// # Errors
/// A data set without training images.
pub fn captioner_vocab(dataset: &Dataset, config: &Config) -> Result<Vocab, TrainError> {
    let images = dataset.split(Split::Train);
    if images.is_empty() {
        return Err(TrainError::setting("data", "has no training images"));
    }
    let words = images.iter().flat_map(|&image| dataset.words(image));
    let sizes = &config.captioner;
    Ok(Vocab::build(words, sizes.count_threshold, sizes.max_reference_len)?)
}

pub(crate) fn captioner_config(
    config: &Config,
    features: &FeatureSpec,
    vocab_size: usize,
) -> CaptionerConfig {
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

/// Mean of `values` where `mask` is 1.
///
/// # Shapes
/// - values, mask: `[N, T]`; output: `[1]`
pub(crate) fn masked_mean(values: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
    (values * mask.clone()).sum() / mask.sum()
}

/// Mean number of tokens that count, end token included.
pub(crate) fn mean_length(teacher: &Teacher) -> f64 {
    teacher.tokens() as f64 / teacher.lengths.len().max(1) as f64
}

/// `count` captions of one image: different ones where there are enough.
fn pick<'a>(
    captions: &'a [Vec<u32>],
    count: usize,
    rng: &mut rand_chacha::ChaCha8Rng,
) -> Vec<&'a [u32]> {
    let mut picked: Vec<&[u32]> = captions.iter().map(Vec::as_slice).collect();
    if picked.len() > count {
        picked.shuffle(rng);
        picked.truncate(count);
    }
    while picked.len() < count {
        picked.extend(captions.choose(rng).map(Vec::as_slice));
    }
    picked
}

/// CIDEr-D against the references of the images that validation looks at.
pub(crate) fn validation_cider(
    dataset: &Dataset,
    config: &Config,
) -> Result<CiderReward, TrainError> {
    let references: Vec<&[String]> = validation_images(dataset, config)
        .into_iter()
        .map(|image| dataset.images[image].captions.as_slice())
        .collect();
    Ok(CiderReward::new(&references)?)
}

pub(crate) fn validation_images(dataset: &Dataset, config: &Config) -> Vec<usize> {
    let mut images = dataset.validation();
    images.truncate(config.checkpoint.validate_images);
    images
}

/// Mean CIDEr-D of greedy captions, their length, and no gradient anywhere.
pub(crate) fn validate(
    model: &Captioner,
    vocab: &Vocab,
    cider: &mut CiderReward,
    config: &Config,
    dataset: &Dataset,
    features: &FeatureStore,
    device: &Device,
) -> Result<Numbers, TrainError> {
    let images = validation_images(dataset, config);
    let captions =
        greedy_captions(model, vocab, features, &images, config.captioner.max_len, device)?;
    let score = mean_score(cider, 0.., &captions)?;
    let words = captions.iter().map(|c| c.text.split_whitespace().count());
    let length = words.sum::<usize>() as f64 / captions.len().max(1) as f64;
    Ok(vec![("cider".into(), score), ("caption_length".into(), length)])
}
