//! The grammar phase: CLIP's text tower learns to tell captions from corrupted ones, with a head,
//! while it goes on matching captions to pictures.

use std::collections::BTreeSet;
use std::path::Path;

use burn::module::{Module, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer, MuonConfig};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use finecap_clip::{Clip, ClipPipeline, contrastive_loss, prompted};
use finecap_metrics::{Ranks, Ties};
use finecap_reward::{
    Corruption, GrammarHead, GrammarHeadConfig, GrammarScorer, Negative, Negatives,
};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use crate::TrainError;
use crate::checkpoint::write_json;
use crate::clip::{fresh, names};
use crate::config::{Config, DecayGroups, GrammarOptimizer, GrammarSettings, TokenEmbeddings};
use crate::data::{Dataset, Split, batch};
use crate::features::FeatureStore;
use crate::fingerprint::data_fingerprint;
use crate::gradients::clip_global_norm;
use crate::mle::{captioner_vocab, validation_images};
use crate::neighbours::neighbour_embeddings;
use crate::phase::{Numbers, Phase};
use crate::seeds::{Purpose, number, stream};
use crate::threads::{Threads, gradients};

/// Captions encoded together.
const LENGTH_BATCH: usize = 32;

/// Random words among which the next one is foretold, besides the batch's own.
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
/// in `run/grammar/model`.
///
/// Without `features` no picture is needed (`grammar.contrastive_weight` must be 0 then), and
/// without `pipeline` a fresh text tower is trained. The numbers of the whole validation split
/// are written to `run/grammar/validation.json`.
///
/// # Errors
/// A run folder that belongs to other settings, numbers that are not finite, settings that need
/// pictures where there are none.
pub fn train_grammar(
    run: &Path,
    config: &Config,
    dataset: &Dataset,
    features: Option<&FeatureStore>,
    pipeline: Option<ClipPipeline>,
    device: &Device,
    resume: bool,
) -> Result<GrammarScorer, TrainError> {
    let settings = &config.grammar;
    let vocab = captioner_vocab(dataset, config)?;
    let images = dataset.split(Split::Train);
    if settings.contrastive_weight > 0.0 && features.is_none() {
        return Err(TrainError::setting(
            "grammar.contrastive_weight",
            "is above 0, which needs pictures: give --data and --images, or set it to 0",
        ));
    }
    let autodiff = device.clone().autodiff();
    let mut phase =
        Phase::open(run, "grammar", config, settings.steps, data_fingerprint(dataset), resume)?;

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
    let model = Tuned { clip: pipeline.model.clone(), head, next }.fork(&autodiff).train();
    let (mut model, mut optimizer) = phase.restore(model, optimizer(settings))?;
    let threads = Threads::new(settings.threads)
        .map_err(|e| TrainError::setting("grammar.threads", format!("can't be had: {e}")))?;

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
        let total = Total::of(&texts);
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
        phase.check_finite(step, "loss", value, &names(dataset, &chosen))?;
        let norm = clip_global_norm(&model, &mut gradients, settings.clip_norm);
        phase.check_finite(step, "gradient norm", norm, &names(dataset, &chosen))?;
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
            let images = validation_images(dataset, config);
            let scorer = scorer(&model, &pipeline, &head_config, settings, device)?;
            let numbers =
                validate(&scorer, config, dataset, &images, features, &negatives, device)?;
            phase.checkpoint(step, numbers, &model, &optimizer)?;
        }
    }

    let model = phase.finish(model, |model, dir| {
        let scorer = scorer(model, &pipeline, &head_config, settings, device)?;
        Ok(scorer.save(dir)?)
    })?;
    let scorer = scorer(&model, &pipeline, &head_config, settings, device)?;
    let images = dataset.validation();
    let numbers = validate(&scorer, config, dataset, &images, features, &negatives, device)?;
    let numbers: serde_json::Map<_, _> =
        numbers.into_iter().map(|(name, value)| (name, value.into())).collect();
    write_json(&run.join("grammar/validation.json"), &numbers)?;
    Ok(scorer)
}

/// AdamW as in the reference (betas 0.9 and 0.999, epsilon 1e-6), or Muon beside it.
fn optimizer(settings: &GrammarSettings) -> ModuleOptimizer {
    let adamw = AdamWConfig::new().with_beta_2(0.999).with_epsilon(1e-6);
    let undecayed = match settings.decay_groups {
        // Its pattern "LayerNorm.weight" meets none of CLIP's names, so only biases are left out.
        DecayGroups::Reference => vec![".bias", ".beta"],
        DecayGroups::Standard => vec![".bias", ".beta", ".gamma", "logit_scale"],
    };
    let optimizer = adamw.clone().with_weight_decay(settings.weight_decay).init().with_group(
        ParamGroup::from_any_predicates(undecayed),
        adamw.with_weight_decay(0.0).build(),
        None,
    );
    match settings.optimizer {
        GrammarOptimizer::Adamw => optimizer,
        GrammarOptimizer::Muon => {
            let decay = WeightDecayConfig::new(settings.weight_decay);
            let muon = MuonConfig::new()
                .with_weight_decay(Some(decay))
                .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
            // The matrices of attention and of the layers after it.
            let matrices = vec!["_proj.weight", "fc1.weight", "fc2.weight"];
            optimizer.with_group(ParamGroup::from_any_predicates(matrices), muon.build(), None)
        }
    }
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

/// A caption or a broken one, and what the head should say of it.
#[derive(Debug, Clone, PartialEq)]
struct Text {
    ids: Vec<u32>,
    /// Number of tokens at the beginning that are as they should be: all of a caption's.
    whole: usize,
}

impl Text {
    fn is_whole(&self) -> bool {
        self.whole == self.ids.len()
    }

    /// Captions, then the broken version of each, which is whole until the first token in which it
    /// differs.
    fn of(captions: Vec<Vec<u32>>, broken: Vec<Vec<u32>>) -> Vec<Self> {
        let broken: Vec<Self> = (broken.into_iter().zip(&captions))
            .map(|(ids, of)| {
                let whole = ids.iter().zip(of).take_while(|(a, b)| a == b).count();
                // A caption that is longer than the context may be cut before it was broken.
                Self { whole: whole.min(ids.len() - 1), ids }
            })
            .collect();
        captions.into_iter().map(|ids| Self { whole: ids.len(), ids }).chain(broken).collect()
    }
}

/// Size of a whole batch, for means over it.
#[derive(Debug, Clone, Copy)]
struct Total {
    texts: usize,
    tokens: usize,
    /// Tokens of whole captions that follow another one.
    next_words: usize,
}

impl Total {
    fn of(texts: &[Text]) -> Self {
        let whole = texts.iter().filter(|text| text.is_whole());
        Self {
            texts: texts.len(),
            tokens: texts.iter().map(|text| text.ids.len()).sum(),
            next_words: whole.map(|text| text.ids.len() - 1).sum(),
        }
    }
}

/// `count` parts of about as many tokens, or all texts in their order for one part.
fn parts_by_length(mut texts: Vec<Text>, count: usize) -> Vec<Vec<Text>> {
    if count == 1 {
        return vec![texts];
    }
    texts.sort_by_key(|text| text.ids.len());
    let mut parts = vec![Vec::new(); count.min(texts.len())];
    for (place, text) in texts.into_iter().enumerate() {
        let part = place % parts.len();
        parts[part].push(text);
    }
    parts
}

/// What some texts of a batch add to its loss, their states at the end token, `[N, D]`, and to the
/// numbers that are logged.
fn grammar_loss(
    model: &Tuned,
    texts: &[Text],
    random: &[u32],
    total: Total,
    settings: &GrammarSettings,
    device: &Device,
) -> Result<(Tensor<1>, Tensor<2>, Numbers), TrainError> {
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| text.ids.clone()).collect();
    let mut numbers = Numbers::new();
    let mut loss = Tensor::zeros([1], device);
    let states = if settings.prefix_weight > 0.0 || model.next.is_some() {
        let states = model.clip.token_states_by_length(&ids, LENGTH_BATCH, device)?;
        if settings.prefix_weight > 0.0 {
            let whole = texts.iter().flat_map(|t| (0..t.ids.len()).map(|place| place < t.whole));
            let logits = model.head.forward(states.clone());
            let prefix = cross_entropy(logits, whole.map(i64::from)) / total.tokens as f64;
            numbers.push(("prefix_loss".into(), scalar(prefix.clone())));
            loss = loss + prefix * settings.prefix_weight;
        }
        if let Some(next) = &model.next {
            let next = next_word_loss(next, &model.clip, states.clone(), texts, random)
                / total.next_words as f64;
            numbers.push(("next_word_loss".into(), scalar(next.clone())));
            loss = loss + next * settings.next_word_weight;
        }
        let ends: Vec<i64> = (texts.iter())
            .scan(-1, |end, text| {
                *end += text.ids.len() as i64;
                Some(*end)
            })
            .collect();
        states.select(0, Tensor::from_data(ends.as_slice(), device))
    } else {
        model.clip.text_states_by_length(&ids, LENGTH_BATCH, device)?
    };
    let logits = model.head.forward(states.clone());
    let whole: Vec<bool> = texts.iter().map(|text| text.is_whole()).collect();
    let right = right(logits.clone().inner(), &whole) as f64 / total.texts as f64;
    let grammar = cross_entropy(logits, whole.into_iter().map(i64::from)) / total.texts as f64;
    loss = loss + grammar.clone() * settings.grammar_weight;
    numbers.extend([("grammar_loss".into(), scalar(grammar)), ("accuracy".into(), right)]);
    Ok((loss, states, numbers))
}

/// Cross entropy of every next token of the captions that are whole, among the tokens of the same
/// captions and `random` ones, summed.
///
/// # Shapes
/// - states: `[T, D]`, those of all tokens of `texts`, one text after the other
/// - output: `[1]`
fn next_word_loss(
    next: &Linear,
    clip: &Clip,
    states: Tensor<2>,
    texts: &[Text],
    random: &[u32],
) -> Tensor<1> {
    let (mut rows, mut targets, mut first) = (Vec::new(), Vec::new(), 0);
    for text in texts {
        if text.is_whole() {
            rows.extend((first..first + text.ids.len() as i64).take(text.ids.len() - 1));
            targets.extend_from_slice(&text.ids[1..]);
        }
        first += text.ids.len() as i64;
    }
    if targets.is_empty() {
        return states.sum() * 0.0;
    }
    let words: BTreeSet<u32> = targets.iter().chain(random).copied().collect();
    let words: Vec<u32> = words.into_iter().collect();
    let device = states.device();
    let ids: Vec<i64> = words.iter().map(|&id| id.into()).collect();
    let embeddings = clip.token_embeddings().select(0, Tensor::from_data(ids.as_slice(), &device));
    let foretold = next.forward(states.select(0, Tensor::from_data(rows.as_slice(), &device)));
    let place = |id: &u32| words.binary_search(id).unwrap_or(0) as i64;
    cross_entropy(foretold.matmul(embeddings.transpose()), targets.iter().map(place))
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

/// Cross entropy summed over the rows.
///
/// # Shapes
/// - logits: `[N, C]`; classes: `N`
/// - output: `[1]`
fn cross_entropy(logits: Tensor<2>, classes: impl Iterator<Item = i64>) -> Tensor<1> {
    let [n, _] = logits.dims();
    let classes = TensorData::new(classes.collect::<Vec<i64>>(), [n, 1]);
    let classes = Tensor::<2, Int>::from_data(classes, &logits.device());
    -log_softmax(logits, 1).gather(1, classes).sum()
}

/// Number of rows whose class is the likelier one.
fn right(logits: Tensor<2>, whole: &[bool]) -> usize {
    let probability: Vec<f32> =
        softmax(logits, 1).narrow(1, 1, 1).into_data().iter::<f32>().collect();
    probability.iter().zip(whole).filter(|(p, whole)| (**p > 0.5) == **whole).count()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// One random caption of every image against a random broken version of it, the same each time;
/// the first number is the score, minus the loss.
fn validate(
    scorer: &GrammarScorer,
    config: &Config,
    dataset: &Dataset,
    images: &[usize],
    features: Option<&FeatureStore>,
    negatives: &Negatives,
    device: &Device,
) -> Result<Numbers, TrainError> {
    if images.is_empty() {
        return Ok(vec![("score".into(), 0.0)]);
    }
    let settings = &config.grammar;
    let mut rng = stream(config.seed, 0, Purpose::Validation);
    let positives = random_captions(dataset, images, &mut rng);
    let broken = broken_versions(negatives, &positives, &mut rng);
    let of_positives = scorer.probabilities(&positives, device)?;
    let texts: Vec<&str> = broken.iter().map(|negative| negative.text.as_str()).collect();
    let of_broken = scorer.probabilities(&texts, device)?;
    let log = |p: f32| f64::from(p.max(f32::MIN_POSITIVE)).ln();
    let sum: f64 = of_positives.iter().map(|&p| log(p)).sum::<f64>()
        + of_broken.iter().map(|&p| log(1.0 - p)).sum::<f64>();
    let mut loss = -sum / (2 * images.len()) as f64 * f64::from(settings.grammar_weight);
    let mut numbers = confusion(&of_positives, &of_broken);
    for kind in Corruption::ALL {
        let of_kind: Vec<f32> = (broken.iter().zip(&of_broken))
            .filter(|(negative, _)| negative.kind == kind)
            .map(|(_, &p)| p)
            .collect();
        if !of_kind.is_empty() {
            let found = of_kind.iter().filter(|&&p| p <= 0.5).count();
            let name = format!("accuracy_{}", kind.name());
            numbers.push((name, found as f64 / of_kind.len() as f64));
        }
    }
    if let Some(features) = features {
        let texts: Vec<String> =
            positives.iter().map(|caption| prompted(&settings.prompt, caption)).collect();
        let text = scorer.pipeline.embed_texts(&texts, device)?;
        let image = features.embeddings(images, device);
        if settings.contrastive_weight > 0.0 {
            let scale = scorer.pipeline.model.logit_scale();
            let contrastive = scalar(contrastive_loss(image.clone(), text.clone(), scale));
            loss += contrastive * f64::from(settings.contrastive_weight);
        }
        numbers.extend(retrieval(text, image)?);
    }
    numbers.insert(0, ("score".into(), -loss));
    numbers.push(("validation_images".into(), images.len() as f64));
    Ok(numbers)
}

/// Precision, recall, accuracy and F1 of "is a sentence", at a probability above one half.
fn confusion(of_positives: &[f32], of_broken: &[f32]) -> Numbers {
    let above = |of: &[f32]| of.iter().filter(|&&p| p > 0.5).count() as f64;
    let (true_positives, false_positives) = (above(of_positives), above(of_broken));
    let (positives, broken) = (of_positives.len() as f64, of_broken.len() as f64);
    let precision = true_positives / (true_positives + false_positives).max(1.0);
    let recall = true_positives / positives;
    let f1 = 2.0 * true_positives / (true_positives + false_positives + positives).max(1.0);
    let accuracy = (true_positives + broken - false_positives) / (positives + broken);
    [("accuracy", accuracy), ("precision", precision), ("recall", recall), ("f1", f1)]
        .map(|(name, value)| (name.to_string(), value))
        .into()
}

/// R@1, 5 and 10 from texts to their images and back, in percent.
///
/// # Shapes
/// - text, image: `[N, E]`, rows of length 1 that belong together
fn retrieval(text: Tensor<2>, image: Tensor<2>) -> Result<Numbers, TrainError> {
    let [n, _] = text.dims();
    let own: Vec<usize> = (0..n).collect();
    let texts_by_images = text.matmul(image.transpose());
    let mut numbers = Numbers::new();
    for (name, matrix) in
        [("text_to_image", texts_by_images.clone()), ("image_to_text", texts_by_images.transpose())]
    {
        let similarities: Vec<f32> = matrix.into_data().iter::<f32>().collect();
        let ranks = Ranks::new(&similarities, n, &own, Ties::Fair)?;
        for k in [1, 5, 10] {
            numbers.push((format!("{name}_r{k}"), ranks.recall(k)));
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use burn::module::{Initializer, Param};
    use burn::nn::{LayerNorm, LayerNormConfig};
    use burn::optim::GradientsParams;
    use burn::tensor::Distribution;
    use finecap_clip::ClipConfig;

    use super::*;

    #[derive(Module, Debug)]
    struct Small {
        norm: LayerNorm,
        linear: Linear,
        logit_scale: Param<Tensor<1>>,
    }

    /// What of a tensor of ones is left after one step with a gradient of 0.
    fn decayed(groups: DecayGroups) -> [f32; 5] {
        let device = Device::flex().autodiff();
        let ones = burn::module::Initializer::Ones;
        let mut norm = LayerNormConfig::new(1).init(&device);
        norm.beta = Some(ones.init([1], &device));
        let mut linear = LinearConfig::new(1, 1).init(&device);
        (linear.weight, linear.bias) = (ones.init([1, 1], &device), Some(ones.init([1], &device)));
        let model = Small { norm, linear, logit_scale: ones.init([1], &device) };
        let x = Tensor::<2>::zeros([1, 1], &device);
        let y = model.linear.forward(model.norm.forward(x)).sum() + model.logit_scale.val().sum();
        let gradients = GradientsParams::from_grads((y * 0.0).backward(), &model);
        let settings =
            GrammarSettings { weight_decay: 0.5, decay_groups: groups, ..Default::default() };
        let model = optimizer(&settings).step(1.0, model, gradients);
        [
            model.linear.weight.val().into_scalar(),
            model.linear.bias.unwrap().val().into_scalar(),
            model.norm.gamma.val().into_scalar(),
            model.norm.beta.unwrap().val().into_scalar(),
            model.logit_scale.val().into_scalar(),
        ]
    }

    #[test]
    fn the_reference_decays_norms_and_the_standard_does_not() {
        assert_eq!(decayed(DecayGroups::Reference), [0.5, 1.0, 0.5, 1.0, 0.5]);
        assert_eq!(decayed(DecayGroups::Standard), [0.5, 1.0, 1.0, 1.0, 1.0]);
    }

    #[derive(Module, Debug)]
    struct Block {
        fc1: Linear,
        other: Linear,
    }

    /// What one step at a rate of 1 adds to two 2 by 2 matrices of zeros, all of whose gradients
    /// are 5.
    fn stepped(kind: GrammarOptimizer) -> [Vec<f32>; 2] {
        let device = Device::flex().autodiff();
        let zeros = |device: &Device| {
            let zeros = Initializer::Zeros;
            LinearConfig::new(2, 2).with_bias(false).with_initializer(zeros).init(device)
        };
        let model = Block { fc1: zeros(&device), other: zeros(&device) };
        let x = Tensor::<2>::ones([1, 2], &device) * 5.0;
        let y = model.fc1.forward(x.clone()).sum() + model.other.forward(x).sum();
        let gradients = GradientsParams::from_grads(y.backward(), &model);
        let settings = GrammarSettings { weight_decay: 0.0, optimizer: kind, ..Default::default() };
        let model = optimizer(&settings).step(1.0, model, gradients);
        [model.fc1, model.other].map(|of| of.weight.val().into_data().iter::<f32>().collect())
    }

    #[test]
    fn muon_orthogonalises_the_steps_of_blocks_and_of_nothing_else() {
        let near = |of: &[f32], value: f32, off: f32| of.iter().all(|v| (v - value).abs() < off);
        let [fc1, other] = stepped(GrammarOptimizer::Adamw);
        assert!(near(&fc1, -1.0, 1e-4) && near(&other, -1.0, 1e-4), "{fc1:?} {other:?}");
        let [fc1, other] = stepped(GrammarOptimizer::Muon);
        assert!(near(&other, -1.0, 1e-4), "{other:?}");
        // The nearest orthogonal matrix of rank 1 has entries of 1/2, which the iteration meets
        // within a factor of 0.7 to 1.2; the step is 0.2 times the root of the width long.
        assert!(near(&fc1, -0.5 * 0.95 * 0.2 * 2.0f32.sqrt(), 0.25 * 0.5 * 0.29), "{fc1:?}");
        assert!(near(&fc1, fc1[0], 1e-6), "{fc1:?}");
    }

    #[test]
    fn precision_and_recall_have_their_right_names() {
        // 4 sentences, of which 3 are recognised; 5 broken ones, of which 1 is taken for good.
        let numbers = confusion(&[0.9, 0.8, 0.7, 0.2], &[0.6, 0.1, 0.1, 0.1, 0.1]);
        let of = |wanted: &str| numbers.iter().find(|(name, _)| name == wanted).unwrap().1;
        assert_eq!((of("precision"), of("recall")), (0.75, 0.75));
        assert!((of("accuracy") - 7.0 / 9.0).abs() < 1e-12);
        assert!((of("f1") - 0.75).abs() < 1e-12);
        let none = confusion(&[0.9], &[0.9, 0.9, 0.9]);
        assert_eq!((none[1].1, none[2].1), (0.25, 1.0));
    }

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
    fn broken_texts_are_whole_until_they_differ() {
        // 8 begins and 9 ends; a word was removed, one was put in, and one beyond the context.
        let captions = vec![vec![8, 1, 2, 9], vec![8, 1, 9], vec![8, 1, 2, 9]];
        let broken = vec![vec![8, 1, 9], vec![8, 3, 1, 9], vec![8, 1, 2, 9]];
        let whole: Vec<usize> = Text::of(captions, broken).iter().map(|text| text.whole).collect();
        assert_eq!(whole, [4, 3, 4, 2, 1, 3]);
    }

    #[test]
    fn the_next_word_is_one_of_the_captions_and_some_random_ones() {
        let device = Device::flex();
        let clip = ClipConfig::tiny(20, 18, 19).init(&device).unwrap();
        let [_, d] = clip.token_embeddings().dims();
        let whole = |ids: &[u32]| Text { ids: ids.to_vec(), whole: ids.len() };
        let broken = Text { ids: vec![18, 7, 7, 19], whole: 2 };
        let texts = [whole(&[18, 1, 2, 19]), broken, whole(&[18, 2, 19])];
        let states = Tensor::<2>::random([11, d], Distribution::Default, &device);
        let loss =
            |next: &Linear| scalar(next_word_loss(next, &clip, states.clone(), &texts, &[1, 5, 6]));
        // Nothing is known: 5 next words, each one of {1, 2, 19} and {5, 6}.
        let zeros = Initializer::Zeros;
        let next =
            Linear { weight: zeros.init([d, d], &device), bias: Some(zeros.init([d], &device)) };
        assert!((loss(&next) - 5.0 * 5f64.ln()).abs() < 1e-5);

        // The same by hand, with states that are what stands in the rows.
        let next = LinearConfig::new(d, d).init(&device);
        let foretold: Vec<f32> = next.forward(states.clone()).into_data().iter::<f32>().collect();
        let embeddings: Vec<f32> = clip.token_embeddings().into_data().iter::<f32>().collect();
        let logit = |row: usize, id: usize| -> f64 {
            (0..d).map(|i| f64::from(foretold[row * d + i] * embeddings[id * d + i])).sum()
        };
        let expected: f64 = [(0, 1), (1, 2), (2, 19), (8, 2), (9, 19)]
            .map(|(row, target)| {
                let sum: f64 = [1, 2, 5, 6, 19].map(|id| logit(row, id).exp()).iter().sum();
                sum.ln() - logit(row, target)
            })
            .iter()
            .sum();
        assert!((loss(&next) - expected).abs() < 1e-4);
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

    #[test]
    fn cross_entropy_is_pytorchs() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_data([[1.0, 2.0], [0.5, -0.5]], &device);
        // -ln σ(1) for both rows: the first is of class 1, the second of class 0.
        let expected = (1.0 + (-1.0f64).exp()).ln();
        let sum = scalar(cross_entropy(logits.clone(), [1, 0].into_iter()));
        assert!((sum - 2.0 * expected).abs() < 1e-6);
        assert_eq!(right(logits, &[true, false]), 2);
    }
}
