//! The grammar phase: CLIP's text tower learns to tell captions from corrupted ones, with a head,
//! while it goes on matching captions to pictures.

mod loss;
mod optimizer;
mod probabilities;
mod validation;

pub use probabilities::grammar_probabilities;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use finecap_clip::{Clip, ClipPipeline, contrastive_loss, prompted};
use finecap_reward::{GrammarHead, GrammarHeadConfig, GrammarScorer, Negative, Negatives};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use self::loss::{BatchSize, Text, grammar_loss, parts_by_length, scalar};
use self::optimizer::optimizer;
use self::validation::validate;
use crate::TrainError;
use crate::captioner_setup::{captioner_vocab, training_images};
use crate::clip::fresh;
use crate::config::{Config, GrammarSettings, TokenEmbeddings};
use crate::data::{Dataset, batch};
use crate::features::FeatureStore;
use crate::gradients::clip_global_norm;
use crate::job::Job;
use crate::neighbours::neighbour_embeddings;
use crate::phase::Phase;
use crate::seeds::{Purpose, number, stream};
use crate::threads::{Threads, gradients};
use crate::validation::validation_images;

/// Random negatives of the next-word loss, beside the batch's own words.
const RANDOM_WORDS: usize = 512;

/// What is trained: a CLIP, of which the image tower gets no gradient, and the head.
#[derive(Module, Debug)]
struct Tuned {
    clip: Clip,
    head: GrammarHead,
    /// From a token's state to the embedding of the next one; only training needs it.
    next: Option<Linear>,
}

/// Tunes the text tower of `pipeline` with a grammar head on the training split, and leaves both
/// in `RUN/grammar/model`.
///
/// Without `features` no picture is needed (`grammar.contrastive_weight` must be 0 then), and
/// without `pipeline` a fresh text tower is trained. The numbers of the whole validation split
/// are written to `RUN/grammar/validation.json`.
///
/// # Errors
/// A run folder that belongs to other settings, numbers that are not finite, settings that need
/// pictures where there are none.
pub fn train_grammar(
    job: &Job,
    features: Option<&FeatureStore>,
    pipeline: Option<ClipPipeline>,
) -> Result<GrammarScorer, TrainError> {
    let Job { config, dataset, device, .. } = *job;
    let settings = &config.grammar;
    let vocab = captioner_vocab(dataset, config)?;
    let images = training_images(dataset)?;
    let held_out = validation_images(dataset, config)?;
    if settings.contrastive_weight > 0.0 && features.is_none() {
        return Err(TrainError::setting(
            "grammar.contrastive_weight",
            "is above 0, which needs pictures: give --data and --images, or set it to 0",
        ));
    }
    // The last word stands for all that are unknown.
    let words = &vocab.words()[..vocab.words().len() - 1];
    let negatives = Negatives::new(words)?;
    let pipeline = match pipeline {
        Some(pipeline) => pipeline,
        None => {
            let words = words.iter().chain([&settings.prompt]);
            let pipeline = fresh(&config.clip, words, config.seed, device)?;
            match config.clip.token_embeddings {
                TokenEmbeddings::Random => pipeline,
                TokenEmbeddings::Neighbours => {
                    with_neighbours(pipeline, dataset, &images, config, device)?
                }
            }
        }
    };
    let width = pipeline.config.text_config.hidden_size;
    let hidden = if settings.hidden == 0 { width } else { settings.hidden };
    let head_config = GrammarHeadConfig { width, hidden };
    device.seed(number(config.seed, 3, Purpose::Weights));
    let head = head_config.init(device);
    let next =
        (settings.next_word_weight > 0.0).then(|| LinearConfig::new(width, width).init(device));
    let threads = Threads::new(settings.threads).map_err(|e| {
        let problem = format!("asks for threads that the system does not give: {e}");
        TrainError::setting("grammar.threads", problem)
    })?;
    // Only now, so that a refusal leaves no folder behind.
    let mut phase = Phase::open(job, "grammar", settings.steps)?;

    let autodiff = device.clone().autodiff();
    let model = Tuned { clip: pipeline.model.clone(), head, next }.fork(&autodiff).train();
    let (mut model, mut optimizer) = phase.restore(model, || optimizer(settings))?;

    for step in phase.remaining() {
        let chosen = batch(&images, config.seed, step - 1, settings.batch_size);
        let mut rng = stream(config.seed, step as u64, Purpose::Captions);
        let positives = if settings.captions_in_turn {
            in_turn(dataset, &chosen, (step - 1) * settings.batch_size, images.len())
        } else {
            random_captions(dataset, &chosen, &mut rng)
        };
        let broken = broken_versions(&negatives, &positives, &mut rng);
        let encode = |texts: &[&str]| {
            let texts: Vec<String> =
                texts.iter().map(|text| prompted(&settings.prompt, text)).collect();
            pipeline.tokenizer.encode_batch(&texts, model.clip.context_length())
        };
        let broken_texts: Vec<&str> = broken.iter().map(|broken| broken.text.as_str()).collect();
        let texts = Text::of(encode(&positives)?, encode(&broken_texts)?);
        let total = BatchSize::of(&texts);
        let mut rng = stream(config.seed, step as u64, Purpose::Words);
        let tokens = pipeline.config.text_config.vocab_size as u32;
        let random: Vec<u32> = (0..RANDOM_WORDS).map(|_| rng.random_range(0..tokens)).collect();

        let parts = parts_by_length(texts, settings.threads);
        let (mut gradients, parts) = gradients(&model, &threads, parts, |model, texts| {
            let (mut loss, states, mut numbers) =
                grammar_loss(model, &texts, &random, total, settings, &autodiff)?;
            if let Some(features) = features.filter(|_| settings.contrastive_weight > 0.0) {
                let text = model.clip.project_text(states.narrow(0, 0, chosen.len()));
                let image = Tensor::from_inner(features.embeddings(&chosen, device));
                let contrastive = contrastive_loss(image, text, model.clip.logit_scale());
                loss = loss + contrastive.clone() * settings.contrastive_weight;
                numbers.push(("contrastive_loss".into(), scalar(contrastive)));
            }
            numbers.push(("loss".into(), scalar(loss.clone())));
            Ok((loss, numbers))
        })?;
        // Every part's numbers are its share of the batch's.
        let mut numbers = parts[0].clone();
        for part in &parts[1..] {
            numbers.iter_mut().zip(part).for_each(|((_, sum), (_, value))| *sum += value);
        }

        let value = numbers.last().map_or(0.0, |(_, loss)| *loss);
        phase.check_finite(step, "loss", value, &dataset.names(&chosen))?;
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &dataset.names(&chosen))?;
        let lr = settings.schedule.lr(step, settings.steps, width);
        model = optimizer.step(lr, model, gradients);

        let count = |f: fn(&Negative) -> usize| broken.iter().map(f).sum::<usize>() as f64;
        numbers.extend([
            ("negative_redraws".into(), count(|negative| negative.redraws)),
            ("negative_fallbacks".into(), count(|negative| usize::from(negative.fell_back))),
            ("gradient_norm".into(), norm),
            ("lr".into(), lr),
        ]);
        phase.log_step(step, numbers)?;
        if phase.is_checkpoint(step) {
            let scorer = scorer(&model, &pipeline, &head_config, settings, device)?;
            let numbers = validate(job, &scorer, &held_out, features, &negatives)?;
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
        phase.stop_if_asked(step, &model, &optimizer)?;
    }

    let model = phase.finish(model, |model, dir| {
        let scorer = scorer(model, &pipeline, &head_config, settings, device)?;
        Ok(scorer.save(dir)?)
    })?;
    let scorer = scorer(&model, &pipeline, &head_config, settings, device)?;
    let numbers = validate(job, &scorer, &dataset.validation(), features, &negatives)?;
    let numbers: serde_json::Map<_, _> =
        numbers.into_iter().map(|(name, value)| (name, value.into())).collect();
    finecap_files::write_json(&job.run.join("grammar/validation.json"), &numbers)?;
    Ok(scorer)
}

/// The model as it is now, without gradient graph.
fn scorer(
    model: &Tuned,
    pipeline: &ClipPipeline,
    config: &GrammarHeadConfig,
    settings: &GrammarSettings,
    device: &Device,
) -> Result<GrammarScorer, TrainError> {
    let model = model.valid().fork(device);
    let pipeline = ClipPipeline { model: model.clip, ..pipeline.clone() };
    Ok(GrammarScorer::new(pipeline, config.clone(), model.head, settings.prompt.clone())?)
}

/// One random caption of each image.
fn random_captions<'a>(dataset: &'a Dataset, images: &[usize], rng: &mut impl Rng) -> Vec<&'a str> {
    let one = |&image: &usize| dataset.images[image].captions.choose(rng);
    images.iter().map(one).map(|caption| caption.map_or("", String::as_str)).collect()
}

/// The next caption of each image: a batch that begins with visit `first` to one of `count` images
/// in epochs takes another one than the epoch before did. Images next to each other begin with
/// different ones, since data sets may sort the captions of an image.
fn in_turn<'a>(dataset: &'a Dataset, batch: &[usize], first: usize, count: usize) -> Vec<&'a str> {
    let one = |(visit, &image): (usize, &usize)| {
        let captions = &dataset.images[image].captions;
        captions.get((image + visit / count) % captions.len().max(1)).map_or("", String::as_str)
    };
    (first..).zip(batch).map(one).collect()
}

/// A broken version of each caption.
fn broken_versions(negatives: &Negatives, captions: &[&str], rng: &mut impl Rng) -> Vec<Negative> {
    captions.iter().map(|caption| negatives.draw(caption, rng)).collect()
}

/// The pipeline with token embeddings that know what stands beside each token.
fn with_neighbours(
    pipeline: ClipPipeline,
    dataset: &Dataset,
    images: &[usize],
    config: &Config,
    device: &Device,
) -> Result<ClipPipeline, TrainError> {
    let captions: Vec<&String> =
        images.iter().flat_map(|&image| &dataset.images[image].captions).collect();
    let ids = pipeline.tokenizer.encode_batch(&captions, pipeline.model.context_length())?;
    let [tokens, width] = pipeline.model.token_embeddings().dims();
    let mut rng = stream(config.seed, 4, Purpose::Weights);
    let rows = neighbour_embeddings(&ids, tokens, width, &mut rng);
    let rows = Tensor::from_data(TensorData::new(rows, [tokens, width]), device);
    Ok(ClipPipeline { model: pipeline.model.with_token_embeddings(rows)?, ..pipeline })
}

#[cfg(test)]
mod tests {
    use finecap_clip::ClipConfig;

    use super::*;

    #[test]
    fn captions_in_turn_come_once_before_any_comes_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a\nd\n\ng\n", "b\ne\nf\nh\n", "c\n\n\ni\n"].iter().enumerate();
        let files: Vec<_> = files
            .map(|(i, text)| {
                let path = dir.path().join(i.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let dataset = Dataset::captions(&files, 0.25).unwrap();
        let images = [0, 1, 2];
        // Three epochs in batches of 2, which begin within epochs too.
        let mut seen: Vec<Vec<&str>> = vec![Vec::new(); 3];
        for step in 0..5 {
            let chosen = batch(&images, 1, step, 2);
            for (&image, caption) in
                chosen.iter().zip(in_turn(&dataset, &chosen, step * 2, images.len()))
            {
                seen[image].push(caption);
            }
        }
        let begin = |image: usize, n: usize| {
            let mut captions = seen[image][..n].to_vec();
            captions.sort_unstable();
            captions
        };
        assert_eq!(begin(0, 3), ["a", "b", "c"]);
        assert_eq!(begin(1, 2), ["d", "e"]);
        assert_eq!(begin(1, 3).len(), 3);
        assert!(seen[2].iter().all(|caption| *caption == "f"));
        // Not all images begin with the first.
        assert_eq!((seen[0][0], seen[1][0]), ("a", "e"));
    }

    #[test]
    fn token_embeddings_that_were_given_are_trained() {
        let device = Device::flex();
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        let rows = Tensor::ones(clip.token_embeddings().dims(), &device);
        let clip = clip.with_token_embeddings(rows.clone()).unwrap();
        assert!(clip.token_embeddings().into_data() == rows.into_data());
        let clip = clip.fork(&device.clone().autodiff()).train();
        assert!(clip.token_embeddings().is_require_grad());
        let narrow = Tensor::ones([20, 3], &device);
        let error = clip.with_token_embeddings(narrow).unwrap_err().to_string();
        assert!(error.contains("[20, 3]"), "{error}");
    }
}
