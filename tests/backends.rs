//! The same small piece of work on every compiled device, compared with flex: both kinds of image
//! tower, both activations, greedy, sampled (whole, cut and sharpened) and beam-searched captions,
//! CLIP-S, the grammar head, and one step each of MLE, SCST and CLIP's loss.
//!
//! Not compared: dropout, Muon, token states with next-word prediction, and the feature store.
#![recursion_limit = "256"]

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use finecap::captioner::{
    BeamSearch, Captioner, CaptionerConfig, Decoding, Draws, Norm, Teacher, Vocab, token_log_probs,
};
use finecap::clip::{
    Activation, ClipConfig, ClipPipeline, ClipTokenizer, Picture, PreprocessConfig, ResNetConfig,
    VisionConfig, VitConfig, contrastive_loss,
};
use finecap::device::{Backend, DeviceChoice};
use finecap::reward::{
    Baseline, Candidate, ClipScore, ClipScoreConfig, GrammarHeadConfig, GrammarScorer, Reward,
};
use finecap::train::clip_global_norm;
use image::{Rgb, RgbImage};

const MAX_LEN: usize = 5;
const SAMPLES: usize = 2;

/// What the work comes to.
#[derive(Debug)]
struct Outcome {
    /// Words that were decoded: equal, but for near-ties that none of these is.
    captions: Vec<Vec<u32>>,
    /// Named numbers, compared with a tolerance.
    numbers: Vec<(&'static str, Vec<f32>)>,
    /// Of the SCST step.
    advantages: Vec<f32>,
}

/// The backends to compare: those that are compiled in, or those of them that the environment
/// variable FINECAP_TEST_BACKENDS names, separated by commas.
fn backends() -> Vec<Backend> {
    let wanted = std::env::var("FINECAP_TEST_BACKENDS").ok();
    let is_wanted = |backend: &Backend| {
        wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == backend.name()))
    };
    Backend::ALL.into_iter().filter(|b| b.is_compiled()).filter(is_wanted).collect()
}

#[test]
fn every_compiled_device_agrees_with_flex() {
    let folder = tempfile::tempdir().unwrap();
    write_models(folder.path());
    let expected = work(folder.path(), &Device::flex());
    assert!(expected.captions.iter().any(|caption| !caption.is_empty()));
    assert!(expected.advantages.iter().any(|a| a.abs() > 1e-3), "an SCST step that does nothing");
    let mut compared = Vec::new();
    for backend in backends() {
        let device = DeviceChoice::Backend(backend, None).resolve().unwrap();
        let found = work(folder.path(), &device);
        assert_eq!(found.captions, expected.captions, "captions on {}", backend.name());
        for ((name, ours), (_, theirs)) in found.numbers.iter().zip(&expected.numbers) {
            assert_eq!(ours.len(), theirs.len(), "{name} on {}", backend.name());
            // Relative for what is larger than 1, as the norm of CLIP's gradient is.
            let difference = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
            let largest = ours.iter().zip(theirs).map(difference).fold(0.0, f32::max);
            println!("{:8} {name:20} differs by {largest:.1e}", backend.name());
            assert!(largest < 2e-4, "{name} on {} differs by {largest}", backend.name());
        }
        compared.push(backend.name());
    }
    assert!(!compared.is_empty(), "no backend was compared");
    println!("compared: {}", compared.join(", "));
}

/// Saves a CLIP and a captioner, so that every device starts from the same weights.
fn write_models(dir: &std::path::Path) {
    let device = Device::flex();
    let words = ["a", "red", "blue", "star", "ring", "above"];
    let tokenizer = ClipTokenizer::from_words(words).unwrap();
    let mut config =
        ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    config.projection_dim = 8;
    config.text_config.max_position_embeddings = 10;
    let text = &mut config.text_config;
    (text.hidden_size, text.intermediate_size) = (16, 16);
    (text.num_hidden_layers, text.num_attention_heads) = (1, 2);
    config.vision_config = VisionConfig::Vit(VitConfig {
        hidden_size: 16,
        intermediate_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        image_size: 16,
        patch_size: 8,
        ..VitConfig::default()
    });
    device.seed(7);
    let model = config.init(&device).unwrap();
    let preprocess = PreprocessConfig::openai(16);
    let mut resnet = config.clone();
    let pipeline = ClipPipeline::new(config, model, tokenizer.clone(), preprocess).unwrap();
    pipeline.save(&dir.join("clip")).unwrap();

    // A ResNet and GELU, with a grammar head.
    resnet.text_config.hidden_act = Activation::Gelu;
    resnet.vision_config =
        VisionConfig::ResNet(ResNetConfig { layers: [1; 4], width: 2, heads: 4, image_size: 32 });
    let model = resnet.init(&device).unwrap();
    let preprocess = PreprocessConfig::openai(32);
    let pipeline = ClipPipeline::new(resnet, model, tokenizer, preprocess).unwrap();
    let head = GrammarHeadConfig { width: 16, hidden: 16 };
    let scorer =
        GrammarScorer::new(pipeline, head.clone(), head.init(&device), String::new()).unwrap();
    scorer.save(&dir.join("grammar")).unwrap();

    let vocab = Vocab::build([words], 0, 16).unwrap();
    let config = CaptionerConfig {
        feature_dim: 16,
        vocab_size: vocab.len(),
        d_model: 16,
        d_ff: 16,
        n_heads: 2,
        n_encoder_layers: 1,
        n_decoder_layers: 1,
        dropout: 0.0,
        feature_dropout: 0.0,
        max_len: MAX_LEN,
        norm: Norm::Reference,
        features: None,
    };
    config.init(&device).unwrap().save(&dir.join("captioner"), &vocab).unwrap();
}

/// Encode, decode, score, one MLE step, one SCST step.
fn work(dir: &std::path::Path, device: &Device) -> Outcome {
    let pipeline = ClipPipeline::load(&dir.join("clip"), device).unwrap();
    let autodiff = device.clone().autodiff();
    let (captioner, vocab) = Captioner::load(&dir.join("captioner"), &autodiff).unwrap();

    let images: Vec<Picture> = (0..2u8)
        .map(|i| {
            RgbImage::from_fn(20, 16, |x, y| Rgb([x as u8 * 12, y as u8 * 15, i * 200])).into()
        })
        .collect();
    let features = pipeline.embed_images(&images, device).unwrap();
    let texts = pipeline.embed_texts(&["a red star", "a blue ring above a star"], device).unwrap();

    let decoding = Decoding { greedy: true, ..Decoding::samples(SAMPLES, MAX_LEN) };
    let draws = Draws { seed: 1, step: 1, images: &[0, 1] };
    let decoded = captioner.valid().decode(features.grid.clone(), &decoding, &draws).unwrap();
    let all: Vec<_> =
        decoded.iter().flat_map(|image| image.greedy.iter().chain(&image.samples)).collect();
    let mut captions: Vec<Vec<u32>> = all.iter().map(|caption| caption.ids.clone()).collect();
    let log_probs = all.iter().flat_map(|caption| caption.log_probs.clone()).collect();

    let written: Vec<String> = captions.iter().map(|ids| vocab.decode(ids)).collect();
    let candidates: Vec<Candidate> = written
        .iter()
        .enumerate()
        .map(|(row, text)| Candidate::new(row / (SAMPLES + 1), text))
        .collect();
    let config = ClipScoreConfig::default();
    let mut reward = ClipScore::new(config, pipeline.clone(), features.embedding.clone());
    let rewards = reward.score(&candidates).unwrap();

    let step = |captions: &[Vec<u32>], weights: &[f32]| {
        let teacher = Teacher::new(captions, MAX_LEN, &autodiff);
        let grid = Tensor::from_inner(features.grid.clone());
        let memory = captioner.encode(grid);
        let logits = captioner.logits(&memory, teacher.inputs.clone());
        let log_probs = token_log_probs(logits, teacher.targets.clone());
        let weights = TensorData::new(weights.to_vec(), [captions.len(), 1]);
        let weights = Tensor::<2>::from_data(weights, &autodiff);
        let loss = -(log_probs * weights * teacher.mask.clone()).sum() / teacher.mask.sum();
        let value = loss.clone().into_scalar::<f32>();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &captioner);
        let norm = clip_global_norm(&captioner, &mut gradients, 0.1) as f32;
        // A large epsilon: Adam turns rounding in a tiny gradient into a whole step otherwise.
        let mut optimizer = AdamConfig::new().with_epsilon(1e-2).init();
        let updated = optimizer.step(1e-2, captioner.clone(), gradients);
        let mut weights = Weights(vec![value, norm]);
        updated.valid().visit(&mut weights);
        weights.0
    };
    let references = vec![vec![1, 2, 4], vec![1, 4], vec![1, 3, 5, 6, 1], vec![1, 5]];
    let mle = step(&references, &[1.0; 4]);
    let is_sample = |row: usize| !row.is_multiple_of(SAMPLES + 1);
    let rows = 0..captions.len();
    let (samples, greedy): (Vec<usize>, Vec<usize>) = rows.partition(|&row| is_sample(row));
    let pick = |rows: &[usize]| rows.iter().map(|&row| rewards[row]).collect::<Vec<f32>>();
    let advantages = Baseline::Greedy.advantages(&pick(&samples), &pick(&greedy), SAMPLES).unwrap();
    let samples: Vec<Vec<u32>> = samples.iter().map(|&row| captions[row].clone()).collect();
    let scst = step(&samples, &advantages);

    let cut = Decoding {
        temperature: 0.7,
        top_k: Some(5),
        top_p: Some(0.9),
        suppress_unknown: true,
        ..Decoding::samples(4, MAX_LEN)
    };
    let cut = captioner.valid().decode(features.grid.clone(), &cut, &draws).unwrap();
    captions.extend(cut.into_iter().flat_map(|image| image.samples).map(|caption| caption.ids));
    let search = BeamSearch {
        n_best: 2,
        length_penalty: 0.5,
        block_trigrams: true,
        bad_endings: vec![1],
        ..BeamSearch::new(3, MAX_LEN)
    };
    let found = captioner.valid().beam_search(features.grid.clone(), &search).unwrap();
    let found: Vec<_> = found.into_iter().flatten().collect();
    let beam_scores = found.iter().map(|hypothesis| hypothesis.score).collect();
    captions.extend(found.into_iter().map(|hypothesis| hypothesis.caption.ids));

    let scorer = GrammarScorer::load(&dir.join("grammar"), device).unwrap();
    let grammar = scorer.probabilities(&["a red star", "star a a"], device).unwrap();
    let resnet = scorer.pipeline.embed_images(&images, device).unwrap();
    let clip = contrastive_step(&pipeline, &images, &autodiff);

    let floats = |tensor: TensorData| tensor.iter::<f32>().collect::<Vec<f32>>();
    Outcome {
        captions,
        numbers: vec![
            ("image embeddings", floats(features.embedding.into_data())),
            ("image grid", floats(features.grid.into_data())),
            ("text embeddings", floats(texts.into_data())),
            ("log-probabilities", log_probs),
            ("rewards", rewards),
            ("MLE step", mle),
            ("SCST step", scst),
            ("beam scores", beam_scores),
            ("ResNet embeddings", floats(resnet.embedding.into_data())),
            ("ResNet grid", floats(resnet.grid.into_data())),
            ("grammar", grammar),
            ("CLIP step", clip),
        ],
        advantages,
    }
}

/// Loss, norm of the gradient, and weights after one step of CLIP's training.
fn contrastive_step(pipeline: &ClipPipeline, images: &[Picture], autodiff: &Device) -> Vec<f32> {
    let model = pipeline.model.clone().fork(autodiff).train();
    let pixels = pipeline.preprocess.batch(images, autodiff).unwrap();
    let ids = pipeline.tokenizer.encode_batch(&["a red star", "a blue ring"], 10).unwrap();
    let image = model.encode_image(pixels).embedding;
    let text = model.encode_tokens(&ids, autodiff).unwrap();
    let loss = contrastive_loss(image, text, model.logit_scale());
    let value = loss.clone().into_scalar::<f32>();
    let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
    let norm = clip_global_norm(&model, &mut gradients, 0.1) as f32;
    let mut optimizer = AdamConfig::new().with_epsilon(1e-2).init();
    let mut weights = Weights(vec![value, norm]);
    optimizer.step(1e-2, model, gradients).valid().visit(&mut weights);
    weights.0
}

struct Weights(Vec<f32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>());
    }
}
