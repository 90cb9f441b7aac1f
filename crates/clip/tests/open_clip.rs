//! Embeddings against those of `open_clip`, and the way from one layout to the other.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use common::{Expected, assert_close, fixture};
use finecap_clip::{
    Activation, Clip, ClipConfig, ClipPipeline, ClipTokenizer, ClipWeights, Layout,
    PreprocessConfig, VisionConfig,
};
use finecap_weights::WeightFile;

fn model(name: &str) -> Clip {
    ClipWeights::open(&fixture(name), None).unwrap().load_model(&Device::flex()).unwrap().0
}

/// 600 ids, of which four are not words.
fn tokenizer() -> ClipTokenizer {
    ClipTokenizer::from_words((0..596).map(|i| format!("w{i}"))).unwrap()
}

/// A pipeline around a fixture: its ids get words.
fn pipeline(name: &str) -> ClipPipeline {
    let weights = ClipWeights::open(&fixture(name), None).unwrap();
    let tokenizer = tokenizer();
    let config = weights.config().clone();
    let preprocess = PreprocessConfig::openai(config.vision_config.image_size() as u32);
    ClipPipeline::new(config, model(name), tokenizer, preprocess).unwrap()
}

#[test]
fn embeddings_agree_with_open_clip() {
    for name in ["clip_resnet", "clip_open_vit"] {
        let (expected, model) = (Expected::read(name), model(name));
        let image = model.encode_image(expected.floats("pixel_values")).embedding;
        assert_close(image, expected.floats("image_embeds_raw"), name);
        let text = model.encode_tokens(&expected.ids("input_ids"), &Device::flex()).unwrap();
        assert_close(text, expected.floats("text_embeds_raw"), name);
    }
}

#[test]
fn a_resnet_gives_its_grid_at_any_size() {
    let (expected, model) = (Expected::read("clip_resnet"), model("clip_resnet"));
    let pixels: Tensor<4> = expected.floats("pixel_values");
    assert_close(model.encode_image(pixels.clone()).grid, expected.floats("grid"), "grid");
    assert_close(model.encode_grid(pixels.clone()), expected.floats("grid"), "grid alone");
    let wide = model.encode_grid(expected.floats("pixel_values_wide"));
    assert_close(wide, expected.floats("grid_wide"), "wide grid");
    // A batch row equals a single run.
    let single = model.encode_image(pixels.clone().narrow(0, 1, 1));
    let batch = model.encode_image(pixels);
    assert_close(batch.embedding.narrow(0, 1, 1), single.embedding, "embedding of a row");
    assert_close(batch.grid.narrow(0, 1, 1), single.grid, "grid of a row");
}

#[test]
fn layouts_lead_to_each_other_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let data = |model: &Clip| {
        let pixels = Expected::read("clip_open_vit").floats("pixel_values");
        model.encode_image(pixels).embedding.into_data()
    };
    let original = pipeline("clip_open_vit");
    let (ours, theirs) = (dir.path().join("hugging-face"), dir.path().join("open-clip"));
    original.save_as(&ours, Layout::HuggingFace, &BTreeMap::new()).unwrap();
    let read = ClipPipeline::load(&ours, &Device::flex()).unwrap();
    assert_eq!((&read.config, &read.preprocess), (&original.config, &original.preprocess));
    read.save_as(&theirs, Layout::OpenClip, &BTreeMap::new()).unwrap();
    let again = ClipPipeline::load(&theirs, &Device::flex()).unwrap();
    assert_eq!((&again.config, &again.preprocess), (&original.config, &original.preprocess));
    for model in [&read.model, &again.model] {
        assert_eq!(data(model), data(&original.model));
    }
    same_tensors(&theirs.join("open_clip_model.safetensors"), "clip_open_vit");
}

#[test]
fn nothing_of_a_resnet_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = pipeline("clip_resnet");
    let weights = ClipWeights::open(&fixture("clip_resnet"), None).unwrap();
    let counters = weights.counters().unwrap();
    assert_eq!(counters.len(), 22);
    assert!(counters.values().all(|count| *count == 7), "{counters:?}");
    let out = dir.path().join("out");
    pipeline.save_as(&out, Layout::OpenClip, &counters).unwrap();
    same_tensors(&out.join("open_clip_model.safetensors"), "clip_resnet");
    let other = pipeline.save_as(&dir.path().join("hf"), Layout::HuggingFace, &counters);
    assert!(other.unwrap_err().to_string().contains("OpenCLIP's layout"));
    assert!(!dir.path().join("hf").exists());
}

/// The tensors of a file are bit for bit those of the fixture.
fn same_tensors(path: &Path, name: &str) {
    let written = WeightFile::open(path).unwrap();
    let original = WeightFile::open(&fixture(name).join("open_clip_model.safetensors")).unwrap();
    let names = |file: &WeightFile| {
        let mut names: Vec<_> = file.tensors().to_vec();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
    };
    assert_eq!(names(&written), names(&original));
    for tensor in original.tensors() {
        if tensor.name.ends_with("num_batches_tracked") {
            continue;
        }
        let values = |file: &WeightFile| file.read_f32(&tensor.name).unwrap();
        assert_eq!(values(&written), values(&original), "{}", tensor.name);
    }
}

#[test]
fn a_file_alone_needs_its_activation() {
    let dir = tempfile::tempdir().unwrap();
    // Heads as wide as in the released models, so that the sizes can be told from the tensors.
    let tokenizer = tokenizer();
    let mut config =
        ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    (config.text_config.hidden_size, config.text_config.num_attention_heads) = (64, 1);
    if let VisionConfig::Vit(vit) = &mut config.vision_config {
        (vit.hidden_size, vit.num_attention_heads) = (64, 1);
    }
    let device = Device::flex();
    let preprocess = PreprocessConfig::openai(48);
    let model = config.init(&device).unwrap();
    let pipeline = ClipPipeline::new(config.clone(), model, tokenizer, preprocess).unwrap();
    for (layout, name) in [
        (Layout::HuggingFace, "model.safetensors"),
        (Layout::OpenClip, "open_clip_model.safetensors"),
    ] {
        let folder = dir.path().join(name.replace('.', "-"));
        pipeline.save_as(&folder, layout, &BTreeMap::new()).unwrap();
        let alone = folder.join("alone.safetensors");
        fs::copy(folder.join(name), &alone).unwrap();
        let error = ClipWeights::open(&alone, None).unwrap_err().to_string();
        assert!(error.contains("alone.safetensors") && error.contains("--activation"), "{error}");
        let opened = ClipWeights::open(&alone, Some(Activation::QuickGelu)).unwrap();
        assert_eq!(opened.config().text_config, config.text_config, "{name}");
        assert_eq!(opened.config().vision_config, config.vision_config, "{name}");
        // What the folder says of itself can't be overruled.
        let error = ClipWeights::open(&folder, Some(Activation::Gelu)).unwrap_err().to_string();
        assert!(error.contains("QuickGELU"), "{error}");
        // The layout's own name brings the configuration beside it along.
        ClipWeights::open(&folder.join(name), None).unwrap();
    }
}

#[test]
fn configurations_of_other_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["open_clip_model.safetensors", "open_clip_config.json"] {
        fs::copy(fixture("clip_open_vit").join(name), dir.path().join(name)).unwrap();
    }
    let path = dir.path().join("open_clip_config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        ("\"width\": 40", "\"width\": 60", "[40"),
        ("\"head_width\": 20", "\"timm_model_name\": \"x\"", "timm_model_name"),
        ("\"layers\": 2,", "\"layers\": 1,", "resblocks.1"),
        ("\"layers\": 2,", "\"layers\": 3,", "resblocks.2"),
        ("\"patch_size\": 8", "\"patch_size\": 7", "patch_size"),
    ] {
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let opened = ClipWeights::open(dir.path(), None);
        let loaded = opened.and_then(|weights| weights.load(&Device::flex()));
        let error = loaded.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{expected}: {error}");
    }
}
