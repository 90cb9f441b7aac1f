//! The MLE phase: the captioner learns to imitate the reference captions.

use burn::optim::{AdamConfig, GradientsParams};
use finecap_captioner::{CaptionModel, CaptionerPipeline, Teacher, token_log_probs};
use rand::seq::{IndexedRandom, SliceRandom};

use crate::TrainError;
use crate::captioner_setup::training_images;
use crate::data::batch;
use crate::features::FeatureStore;
use crate::gradients::clip_global_norm;
use crate::job::Job;
use crate::memory::Memory;
use crate::phase::Phase;
use crate::seeds::{Purpose, number, stream};
use crate::validation::Validation;

/// Trains `start`, as [`fresh_captioner`](crate::fresh_captioner) makes it, with token-mean cross
/// entropy on the training split, and leaves it in `RUN/mle/model`.
///
/// # Errors
/// A data set without training images, a run folder that belongs to other settings, numbers that
/// are not finite.
pub fn train_mle<M: CaptionModel>(
    job: &Job,
    features: &FeatureStore,
    start: CaptionerPipeline<M>,
) -> Result<CaptionerPipeline<M>, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.mle;
    let images = training_images(dataset)?;
    let mut validation = Validation::new(job)?;
    let CaptionerPipeline { model, vocab } = start;
    model.check_spec(features.spec())?;
    let (max_len, width) = (model.max_len(), model.width());
    let encoded: Vec<Vec<Vec<u32>>> = (0..dataset.images.len())
        .map(|image| dataset.words(image).map(|words| vocab.encode(&words)).collect())
        .collect();
    let [positions, wide] = features.spec().grid;
    let rows = settings.batch_size.saturating_mul(settings.captions_per_image);
    Memory::default()
        .weights(model.num_params())
        .floats("logits and their gradient", &[2, rows, max_len, model.vocab_size()])
        .floats("features", &[settings.batch_size, positions, wide])
        .check("mle", device)?;
    // Only now, so that a refusal leaves no folder behind.
    let mut phase = Phase::open(job, "mle", settings.steps)?;

    let autodiff = device.clone().autodiff();
    // Betas and epsilon as in the reference (Vaswani et al. 2017).
    let optimizer = || AdamConfig::new().with_beta_2(0.98).with_epsilon(1e-9).init();
    let (mut model, mut optimizer) = phase.restore(model.fork(&autodiff).train(), optimizer)?;
    let snapshot =
        |model: &M| CaptionerPipeline { model: model.valid().fork(device), vocab: vocab.clone() };

    for step in phase.remaining() {
        let chosen = batch(&images, config.seed, step - 1, settings.batch_size);
        let mut rng = stream(config.seed, step as u64, Purpose::Captions);
        let captions: Vec<&[u32]> = chosen
            .iter()
            .flat_map(|&image| pick(&encoded[image], settings.captions_per_image, &mut rng))
            .collect();
        let teacher = Teacher::new(&captions, max_len, &autodiff);

        // Dropout is the one thing drawn on the device.
        autodiff.seed(number(config.seed, step as u64, Purpose::Dropout));
        let memory = model.encode(features.grids(&chosen, &autodiff));
        let logits = model.logits(&memory, teacher.inputs.clone());
        let log_probs = token_log_probs(logits, teacher.targets.clone());
        let loss = -teacher.mean(log_probs);

        let value = f64::from(loss.clone().into_scalar::<f32>());
        phase.check_finite(step, "loss", value, &dataset.names(&chosen))?;
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &dataset.names(&chosen))?;
        let lr = settings.schedule.lr(step, settings.steps, width);
        model = optimizer.step(lr, model, gradients);

        phase.log_step(
            step,
            vec![
                ("loss".into(), value),
                ("lr".into(), lr),
                ("gradient_norm".into(), norm),
                ("caption_length".into(), teacher.mean_length()),
            ],
        )?;
        if phase.is_checkpoint(step) {
            let now = snapshot(&model);
            let numbers = validation.numbers(job, features, &now, None)?;
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
        phase.stop_if_asked(step, &model, &optimizer)?;
    }

    let model = phase.finish(model, |model, dir| Ok(snapshot(model).save(dir)?))?;
    Ok(snapshot(&model))
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
