//! The CLIP phase: contrastive training of both towers.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use finecap_clip::{
    Clip, ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig, TextConfig, VisionConfig,
    VitConfig, contrastive_loss, prompted,
};
use finecap_data::Shards;

use crate::TrainError;
use crate::config::{ClipSettings, ClipTexts, TokenizerKind};
use crate::data::{Dataset, Split};
use crate::gradients::clip_global_norm;
use crate::job::Job;
use crate::memory::Memory;
use crate::pairs::{DatasetPairs, PairBatch, Pairs};
use crate::phase::{Numbers, Phase};
use crate::prefetch::prefetch;
use crate::seeds::{Purpose, number};
use crate::shard_pairs::ShardPairs;
use crate::validation::validation_images;

/// Trains a CLIP model on the images and texts of the training split, from scratch or from
/// `start`, and leaves it in `RUN/clip/model`.
///
/// # Errors
/// Unreadable images, a run folder that belongs to other settings, numbers that are not finite.
pub fn train_clip(job: &Job, start: Option<ClipPipeline>) -> Result<ClipPipeline, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.clip;
    let images = dataset.split(Split::Train);
    if images.len() < 2 {
        return Err(TrainError::setting("data", "has fewer than 2 training images"));
    }
    let pipeline = match start {
        Some(pipeline) => pipeline,
        None => {
            let texts = images.iter().flat_map(|&image| {
                dataset.images[image].alt_texts.iter().chain(&dataset.images[image].captions)
            });
            fresh(settings, [&settings.prompt].into_iter().chain(texts), config.seed, device)?
        }
    };
    train(job, pipeline, DatasetPairs { dataset, config, images })
}

/// Trains a CLIP model on the pairs of shards, which are read as they are needed and never listed as
/// a whole; [`Job::dataset`] gives the validation images, of which there may be none. With `skip_bad`
/// a pair that can't be read is named and left out of its batch.
///
/// # Errors
/// Those of [`train_clip`]; a tokenizer of whole words without `start`, shards without pairs or
/// other ones than the run began with.
pub fn train_clip_on_shards(
    job: &Job,
    shards: &Shards,
    skip_bad: bool,
    start: Option<ClipPipeline>,
) -> Result<ClipPipeline, TrainError> {
    let Job { config, device, .. } = *job;
    let pipeline = match start {
        Some(pipeline) => pipeline,
        None if config.clip.tokenizer == TokenizerKind::Words => {
            let problem = "is \"words\", which asks for all texts before training begins: with \
                           shards, take \"openai\", or start from a model with --clip";
            return Err(TrainError::setting("clip.tokenizer", problem));
        }
        None => fresh(&config.clip, std::iter::empty(), config.seed, device)?,
    };
    let pairs = ShardPairs::open(job, shards, skip_bad)?;
    train(job, pipeline, pairs)
}

fn train(job: &Job, pipeline: ClipPipeline, pairs: impl Pairs) -> Result<ClipPipeline, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.clip;
    let held_out = validation_images(dataset, config)?;
    let width = pipeline.config.text_config.hidden_size;
    let side = pipeline.preprocess.size as usize;
    let patches = pipeline.config.vision_config.positions();
    let grid = pipeline.config.vision_config.grid_width();
    Memory::default()
        .weights(pipeline.model.num_params())
        .floats("pixels", &[settings.batch_size, 3, side, side])
        .floats("states of the image tower", &[2, settings.batch_size, patches, grid])
        .check("clip", device)?;
    // Only now, so that a refusal leaves no folder behind.
    let mut phase = Phase::open(job, "clip", settings.steps)?;
    pairs.opened(&job.run.join("clip"))?;

    let autodiff = device.clone().autodiff();
    let model = pipeline.model.clone().fork(&autodiff).train();
    let optimizer = || {
        AdamWConfig::new()
            .with_beta_2(0.98)
            .with_epsilon(1e-6)
            .with_weight_decay(settings.weight_decay)
            .init()
    };
    let (model, mut optimizer) = phase.restore(model, optimizer)?;

    // Steps are made one after the other, whatever number of threads reads the pictures of one.
    let pairs = Mutex::new(pairs);
    let load = |step: usize| -> Result<PairBatch, TrainError> {
        let mut pairs = pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.batch(step, settings.batch_size, &pipeline.preprocess)
    };
    let model = prefetch(phase.remaining(), load, |batches| {
        let mut model = model;
        for (step, batch) in batches {
            let batch = batch?;
            for skipped in &batch.skipped {
                phase.note(&format!("skipped: {skipped}"));
            }
            let pixels = Tensor::from_data(batch.pixels, &autodiff);
            let tokens = pipeline.tokenizer.encode_batch(&batch.texts, model.context_length())?;
            let image = model.encode_image(pixels).embedding;
            let text = model.encode_tokens(&tokens, &autodiff)?;
            let loss = contrastive_loss(image, text, model.logit_scale());

            let value = f64::from(loss.clone().into_scalar::<f32>());
            phase.check_finite(step, "loss", value, &batch.names)?;
            let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
            let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
            phase.check_finite(step, "gradient norm", norm, &batch.names)?;
            let lr = settings.schedule.lr(step, settings.steps, width);
            model = optimizer.step(lr, model, gradients);

            phase.log_step(
                step,
                vec![
                    ("loss".into(), value),
                    ("lr".into(), lr),
                    ("gradient_norm".into(), norm),
                    ("logit_scale".into(), f64::from(model.logit_scale().into_scalar::<f32>())),
                ],
            )?;
            if phase.is_checkpoint(step) {
                let numbers = validate(job, &model.valid(), &pipeline, &held_out)?;
                phase.checkpoint(step, numbers, &model, &optimizer)?;
            }
            phase.stop_if_asked(step, &model, &optimizer)?;
        }
        Ok::<_, TrainError>(model)
    })?;

    let finished =
        |model: &Clip| ClipPipeline { model: model.valid().fork(device), ..pipeline.clone() };
    let model = phase.finish(model, |model, dir| Ok(finished(model).save(dir)?))?;
    Ok(finished(&model))
}

pub(crate) fn texts_of<'a>(
    settings: &ClipSettings,
    dataset: &'a Dataset,
    image: usize,
) -> &'a [String] {
    let record = &dataset.images[image];
    match settings.texts {
        ClipTexts::AltTexts if !record.alt_texts.is_empty() => &record.alt_texts,
        _ => &record.captions,
    }
}

/// A model with fresh weights; a tokenizer of whole words knows those of `texts`.
pub(crate) fn fresh<'a>(
    settings: &ClipSettings,
    texts: impl Iterator<Item = &'a String>,
    seed: u64,
    device: &Device,
) -> Result<ClipPipeline, TrainError> {
    let tokenizer = match settings.tokenizer {
        TokenizerKind::Openai => ClipTokenizer::openai()?,
        TokenizerKind::Words => {
            let words = texts.flat_map(|text| text.split_whitespace());
            ClipTokenizer::from_words(words)?
        }
    };
    let tiny = ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    let config = ClipConfig {
        projection_dim: settings.embed_dim,
        text_config: TextConfig {
            hidden_size: settings.width,
            intermediate_size: settings.width * 2,
            num_hidden_layers: settings.layers,
            num_attention_heads: settings.heads,
            max_position_embeddings: settings.context_length,
            ..tiny.text_config
        },
        vision_config: VisionConfig::Vit(VitConfig {
            hidden_size: settings.width,
            intermediate_size: settings.width * 2,
            num_hidden_layers: settings.layers,
            num_attention_heads: settings.heads,
            image_size: settings.image_size,
            patch_size: settings.patch_size,
            ..VitConfig::default()
        }),
        ..tiny
    };
    config.check()?;
    let (w, layers) = (settings.width, settings.layers);
    Memory::default()
        .floats("token embeddings", &[4, config.text_config.vocab_size, w])
        .floats("weights of the blocks", &[4, 2, layers, 8, w, w])
        .check("clip", device)?;
    device.seed(number(seed, 1, Purpose::Weights));
    let model = config.init(device)?;
    let preprocess = PreprocessConfig::openai(settings.image_size as u32);
    Ok(ClipPipeline::new(config, model, tokenizer, preprocess)?)
}

/// Contrastive loss over `images`, each with its first text; nothing where there are none.
fn validate(
    job: &Job,
    model: &Clip,
    pipeline: &ClipPipeline,
    images: &[usize],
) -> Result<Numbers, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.clip;
    if images.is_empty() {
        return Ok(Numbers::new());
    }
    let now = ClipPipeline { model: model.clone().fork(device), ..pipeline.clone() };
    let mut embeddings: Vec<Tensor<2>> = Vec::new();
    for chunk in images.chunks(settings.batch_size) {
        embeddings.push(now.embed_images(&dataset.load_images(chunk)?, device)?.embedding);
    }
    let texts: Vec<String> = images
        .iter()
        .map(|&image| {
            texts_of(settings, dataset, image)
                .first()
                .map_or_else(String::new, |t| prompted(&settings.prompt, t))
        })
        .collect();
    let text = now.embed_texts(&texts, device)?;
    let loss = contrastive_loss(Tensor::cat(embeddings, 0), text, now.model.logit_scale());
    let loss = f64::from(loss.into_scalar::<f32>());
    Ok(vec![("score".into(), -loss), ("validation_images".into(), images.len() as f64)])
}
