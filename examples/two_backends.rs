//! The same code on two backends that are chosen at run time.
//!
//! `cargo run --release --features ndarray --example two_backends -- flex ndarray`
#![recursion_limit = "256"]

use burn::tensor::Device;
use finecap::clip::{ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names.push("auto".into());
    }
    // One set of random weights for all: written once, loaded by every device.
    let folder = std::env::temp_dir().join(format!("finecap-two-backends-{}", std::process::id()));
    let first = finecap::device::choose(Some(&names[0]))?;
    random_pipeline(&first)?.save(&folder)?;
    for name in &names {
        let device = finecap::device::choose(Some(name))?;
        let cosine = cosine(&ClipPipeline::load(&folder, &device)?, &device)?;
        println!("{name:8} cosine of two captions: {cosine:.6}");
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn random_pipeline(device: &Device) -> Result<ClipPipeline, finecap::clip::ClipError> {
    let tokenizer = ClipTokenizer::from_words("a dog runs cat sleeps".split(' '))?;
    let config = ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    device.seed(1);
    let model = config.init(device)?;
    ClipPipeline::new(config, model, tokenizer, PreprocessConfig::openai(48))
}

fn cosine(clip: &ClipPipeline, device: &Device) -> Result<f32, finecap::clip::ClipError> {
    let texts = clip.embed_texts(&["a dog runs", "a cat sleeps"], device)?;
    let (a, b) = (texts.clone().narrow(0, 0, 1), texts.narrow(0, 1, 1));
    Ok((a * b).sum().into_scalar())
}
