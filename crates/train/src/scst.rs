//! The SCST phase: the captioner is rewarded for what its own captions are worth.

use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use finecap_captioner::{Caption, Captioner, CaptionerConfig, Decoding, Draws, Teacher, Vocab};
use finecap_reward::{Candidate, Scores, split_greedy};

use crate::TrainError;
use crate::clip::names;
use crate::config::Config;
use crate::data::{Dataset, Split, batch};
use crate::eval::{greedy_captions, mean_score};
use crate::features::FeatureStore;
use crate::fingerprint::data_fingerprint;
use crate::gradients::clip_global_norm;
use crate::mle::{mean_length, validate, validation_cider, validation_images};
use crate::phase::{Numbers, Phase};
use crate::policy::PolicyLoss;
use crate::rewards::RewardModels;
use crate::seeds::{Purpose, number};

/// Trains a captioner by self-critical sequence training (Rennie et al. 2017) on the training
/// split, starting from `start`, and leaves it in `run/scst/model`.
///
/// Each step samples `K` captions an image from a snapshot without gradient graph, scores them,
/// and teacher-forces them once to get `-Σ log p · advantage · mask / Σ mask`, end token included.
///
/// # Errors
/// A run folder that belongs to other settings, numbers that are not finite.
#[allow(clippy::too_many_arguments)]
pub fn train_scst(
    run: &Path,
    config: &Config,
    dataset: &Dataset,
    features: &FeatureStore,
    models: RewardModels,
    start: (Captioner, Vocab),
    device: &Device,
    resume: bool,
) -> Result<(Captioner, Vocab), TrainError> {
    let settings = &config.scst;
    let images = dataset.split(Split::Train);
    if images.is_empty() {
        return Err(TrainError::setting("data", "has no training images"));
    }
    let autodiff = device.clone().autodiff();
    let (start, vocab) = start;
    start.config().check_spec(features.spec())?;
    // First, so that a reward that can't be had leaves no folder behind.
    let mut reward = models.build(&settings.reward, dataset, features, &vocab, device)?;
    let mut phase =
        Phase::open(run, "scst", config, settings.steps, data_fingerprint(dataset), resume)?;

    // What it is trained on now may be known better than what it was trained on before.
    let seen = start.config().features.clone();
    let seen = Some(seen.map_or(features.spec().clone(), |seen| seen.or(features.spec())));
    let with_dropout =
        |model: &Captioner, [dropout, feature_dropout]: [f64; 2], device: &Device| {
            let config = model.config().clone();
            with_config(
                model,
                CaptionerConfig { dropout, feature_dropout, features: seen.clone(), ..config },
                device,
            )
        };
    let model = with_dropout(&start, [settings.dropout; 2], &autodiff)?;
    let optimizer = AdamConfig::new().with_beta_2(0.98).with_epsilon(1e-9).init();
    let (mut model, mut optimizer) = phase.restore(model, optimizer)?;
    let mut cider = validation_cider(dataset, config)?;
    let max_len = start.config().max_len;
    let decoding = Decoding {
        greedy: reward.needs_greedy(settings.baseline),
        temperature: settings.temperature,
        ..Decoding::samples(settings.samples, max_len)
    };

    for step in phase.remaining() {
        let started = std::time::Instant::now();
        let chosen = batch(&images, config.seed, step - 1, settings.batch_size);
        let keys: Vec<u64> = chosen.iter().map(|&image| image as u64).collect();
        let draws = Draws { seed: config.seed, step: step as u64, images: &keys };
        let decoded = model.valid().decode(features.grids(&chosen, device), &decoding, &draws)?;

        // Row by row: the greedy caption of an image, if wanted, then its samples.
        let rows = usize::from(decoding.greedy) + settings.samples;
        let captions: Vec<&Caption> =
            decoded.iter().flat_map(|image| image.greedy.iter().chain(&image.samples)).collect();
        let texts: Vec<String> = captions.iter().map(|c| vocab.decode(&c.ids)).collect();
        let candidates: Vec<Candidate> = captions
            .iter()
            .zip(&texts)
            .enumerate()
            .map(|(row, (caption, text))| Candidate {
                image: chosen[row / rows],
                text,
                ended: caption.ended,
            })
            .collect();
        let scores = reward.score_terms(&candidates)?;
        let rule = settings.advantage_rule();
        let advantages = rule.advantages(&scores.terms, decoding.greedy, settings.samples)?;

        let samples: Vec<&[u32]> =
            decoded.iter().flat_map(|image| &image.samples).map(|c| c.ids.as_slice()).collect();
        let teacher = Teacher::new(&samples, max_len, &autodiff);
        autodiff.seed(number(config.seed, step as u64, Purpose::Dropout));
        let memory = model.encode(features.grids(&chosen, &autodiff));
        let logits = model.logits(&memory, teacher.inputs.clone());
        let reference = || {
            let memory = start.encode(features.grids(&chosen, device));
            Tensor::from_inner(start.logits(&memory, teacher.inputs.clone().inner()))
        };
        let PolicyLoss { loss, entropy, kl } =
            PolicyLoss::new(settings, logits, &teacher, &advantages, reference);

        let value = f64::from(loss.clone().into_scalar::<f32>());
        phase.check_finite(step, "loss", value, &names(dataset, &chosen))?;
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &names(dataset, &chosen))?;
        let lr = settings.schedule.lr(step, settings.steps, config.captioner.d_model);
        model = optimizer.step(lr, model, gradients);

        let mut numbers = reward_numbers(&scores, &advantages, decoding.greedy, settings.samples);
        numbers.extend(kl.map(|kl| ("kl".into(), kl.into_scalar::<f32>().into())));
        numbers.extend([
            ("loss".into(), value),
            ("entropy".into(), f64::from(entropy.into_scalar::<f32>())),
            ("caption_length".into(), mean_length(&teacher)),
            ("gradient_norm".into(), norm),
            ("lr".into(), lr),
            ("images_per_second".into(), chosen.len() as f64 / started.elapsed().as_secs_f64()),
        ]);
        phase.log_step(step, numbers)?;
        if phase.is_checkpoint(step) {
            let snapshot = model.valid();
            let images = validation_images(dataset, config);
            let captions = greedy_captions(&snapshot, &vocab, features, &images, max_len, device)?;
            let score = mean_score(&mut reward, images, &captions)?;
            let mut numbers = vec![("reward".to_string(), score)];
            numbers.extend(validate(
                &snapshot, &vocab, &mut cider, config, dataset, features, device,
            )?);
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
    }

    let CaptionerConfig { dropout, feature_dropout, .. } = *start.config();
    let finished =
        |model: &Captioner| with_dropout(&model.valid(), [dropout, feature_dropout], device);
    let model = phase.finish(model, |model, dir| Ok(finished(model)?.save(dir, &vocab)?))?;
    Ok((finished(&model)?, vocab))
}

/// The same weights in a model of another config, on `device`.
fn with_config(
    model: &Captioner,
    config: CaptionerConfig,
    device: &Device,
) -> Result<Captioner, TrainError> {
    config
        .init(device)?
        .try_load_record(model.clone().into_record())
        .map_err(|e| TrainError::setting("scst.start", format!("is not the captioner it was: {e}")))
}

/// Mean and spread of the reward, of each of its terms, and of the advantage, over the samples.
fn reward_numbers(scores: &Scores, advantages: &[f32], greedy: bool, samples: usize) -> Numbers {
    let sampled = split_greedy(&scores.total, greedy, samples).0;
    let (mean, std) = mean_std(&sampled);
    let mut numbers = vec![("reward".into(), mean), ("reward_std".into(), std)];
    for term in &scores.terms {
        let (mean, std) = mean_std(&split_greedy(&term.scores, greedy, samples).0);
        numbers.push((format!("{}_mean", term.name), mean));
        numbers.push((format!("{}_std", term.name), std));
    }
    let (mean, std) = mean_std(advantages);
    numbers.push(("advantage_mean".into(), mean));
    numbers.push(("advantage_std".into(), std));
    let groups = sampled.chunks(samples);
    let total = groups.len().max(1) as f64;
    let flat = groups.filter(|group| group.iter().all(|r| r == &group[0])).count();
    numbers.push(("zero_spread_groups".into(), flat as f64 / total));
    numbers
}

fn mean_std(values: &[f32]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}
