//! The SCST phase: the captioner is rewarded for what its own captions are worth.

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Tensor;
use finecap_captioner::{Caption, CaptionModel, CaptionerPipeline, Decoding, Draws, Teacher};
use finecap_reward::{Candidate, Scores, WeightedSum, split_greedy};

use crate::TrainError;
use crate::captioner_setup::training_images;
use crate::data::batch;
use crate::features::FeatureStore;
use crate::gradients::clip_global_norm;
use crate::job::Job;
use crate::memory::Memory;
use crate::phase::{Numbers, Phase};
use crate::policy::PolicyLoss;
use crate::seeds::{Purpose, number};
use crate::validation::Validation;

/// Trains `start` by self-critical sequence training (Rennie et al. 2017) on the training split,
/// and leaves it in `RUN/scst/model`.
///
/// `reward` knows the images by their index in the data set. It is the one that the settings
/// describe, as [`RewardModels::build`](crate::RewardModels::build) makes it, or any other.
///
/// Each step samples `K` captions an image from a snapshot without gradient graph, scores them,
/// and teacher-forces them once to get `-Σ log p · advantage · mask / Σ mask`, end token included.
///
/// # Errors
/// A data set without training images, a run folder that belongs to other settings, numbers that
/// are not finite, whatever the reward answers with.
pub fn train_scst<M: CaptionModel>(
    job: &Job,
    features: &FeatureStore,
    reward: &mut WeightedSum,
    start: CaptionerPipeline<M>,
) -> Result<CaptionerPipeline<M>, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.scst;
    let images = training_images(dataset)?;
    let mut validation = Validation::new(job)?;
    let CaptionerPipeline { model: start, vocab } = start;
    let (max_len, width) = (start.max_len(), start.width());
    let autodiff = device.clone().autodiff();
    start.check_spec(features.spec())?;
    let model = start.rebuilt([settings.dropout; 2], features.spec(), &autodiff)?;
    let [positions, wide] = features.spec().grid;
    let rows = settings.batch_size.saturating_mul(settings.samples);
    Memory::default()
        .weights(model.num_params())
        .floats("logits and their gradient", &[2, rows, max_len, model.vocab_size()])
        .floats("features", &[settings.batch_size, positions, wide])
        .check("scst", device)?;
    // Only now, so that a refusal leaves no folder behind.
    let mut phase = Phase::open(job, "scst", settings.steps)?;

    let optimizer = || AdamConfig::new().with_beta_2(0.98).with_epsilon(1e-9).init();
    let (mut model, mut optimizer) = phase.restore(model, optimizer)?;
    let decoding = Decoding {
        greedy: reward.needs_greedy(settings.baseline),
        temperature: settings.temperature,
        ..Decoding::samples(settings.samples, max_len)
    };
    let snapshot = |model: &M| -> Result<CaptionerPipeline<M>, TrainError> {
        let model = model.valid().rebuilt(start.dropout(), features.spec(), device)?;
        Ok(CaptionerPipeline { model, vocab: vocab.clone() })
    };

    for step in phase.remaining() {
        let started = std::time::Instant::now();
        let chosen = batch(&images, config.seed, step - 1, settings.batch_size);
        let keys: Vec<u64> = chosen.iter().map(|&image| image as u64).collect();
        let draws = Draws { seed: config.seed, step: step as u64, images: &keys };
        let grids = features.grids(&chosen, device);
        let decoded = model.valid().decode_features(grids, &decoding, &draws)?;

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
        let scores = match reward.score_terms(&candidates) {
            Ok(scores) => scores,
            Err(error) => {
                phase.keep(step - 1, &model, &optimizer)?;
                return Err(error.into());
            }
        };
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
        phase.check_finite(step, "loss", value, &dataset.names(&chosen))?;
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &dataset.names(&chosen))?;
        let lr = settings.schedule.lr(step, settings.steps, width);
        model = optimizer.step(lr, model, gradients);

        let mut numbers = reward_numbers(&scores, &advantages, decoding.greedy, settings.samples);
        numbers.extend(kl.map(|kl| ("kl".into(), kl.into_scalar::<f32>().into())));
        numbers.extend([
            ("loss".into(), value),
            ("entropy".into(), f64::from(entropy.into_scalar::<f32>())),
            ("caption_length".into(), teacher.mean_length()),
            ("gradient_norm".into(), norm),
            ("lr".into(), lr),
            ("images_per_second".into(), chosen.len() as f64 / started.elapsed().as_secs_f64()),
        ]);
        phase.log_step(step, numbers)?;
        if phase.is_checkpoint(step) {
            let now = snapshot(&model)?;
            let numbers = validation.numbers(job, features, &now, Some(reward))?;
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
        phase.stop_if_asked(step, &model, &optimizer)?;
    }

    let model = phase.finish(model, |model, dir| Ok(snapshot(model)?.save(dir)?))?;
    snapshot(&model)
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
