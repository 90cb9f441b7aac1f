//! A tiny CLIP and what tests ask of it.

use burn::tensor::Device;
use finecap_clip::{ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig};

use crate::ClipScoreConfig;
use crate::text_encoder::rows;

pub(crate) fn pipeline(device: &Device) -> ClipPipeline {
    let words = ["a", "photo", "depicts", "red", "star", "ring"];
    let tokenizer = ClipTokenizer::from_words(words).unwrap();
    let config = ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    device.seed(1);
    let model = config.init(device).unwrap();
    ClipPipeline::new(config, model, tokenizer, PreprocessConfig::openai(48)).unwrap()
}

pub(crate) fn no_prompt(weight: f32) -> ClipScoreConfig {
    ClipScoreConfig { prompt: String::new(), weight }
}

/// Cosines of some texts to each other, for expectations.
pub(crate) fn cosines(pipeline: &ClipPipeline, texts: &[&str]) -> Vec<Vec<f32>> {
    let e = pipeline.embed_texts(texts, &Device::flex()).unwrap();
    rows(e.clone().matmul(e.transpose()))
}
