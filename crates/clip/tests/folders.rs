//! Folders of CLIP models as other programs leave them: each variant gives the embeddings of the plain
//! folder, or is refused by name.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use common::{Expected, assert_close, fixture};
use finecap_clip::{ClipPipeline, ClipTokenizer, ClipWeights, Fit, PreprocessConfig, Tower};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;

const CAPTIONS: [&str; 3] = ["a dog", "a red cat on a mat", ""];

/// A copy of a fixture's folder.
fn folder(name: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

/// Keeps and renames tensors of a safetensors file.
fn rename(path: &Path, name: impl Fn(&str) -> Option<String>) {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: BTreeMap<String, TensorView> =
        file.tensors().into_iter().filter_map(|(old, view)| Some((name(&old)?, view))).collect();
    let renamed = safetensors::serialize(tensors, None).unwrap();
    fs::write(path, renamed).unwrap();
}

fn texts(pipeline: &ClipPipeline) -> Tensor<2> {
    pipeline.embed_texts(&CAPTIONS, &Device::flex()).unwrap()
}

fn load(dir: &Path) -> Result<ClipPipeline, String> {
    ClipPipeline::load(dir, &Device::flex()).map_err(|error| error.to_string())
}

/// The error of a folder, which must name all of these.
fn refused(dir: &Path, names: &[&str]) {
    let error = load(dir).map(|_| ()).unwrap_err();
    assert!(names.iter().all(|name| error.contains(name)), "{names:?}: {error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn pictures_are_prepared_as_any_of_the_files_says() {
    let dir = folder("clipscore");
    let (old, new) =
        (dir.path().join("preprocessor_config.json"), dir.path().join("processor_config.json"));
    let half = json!({"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]});
    // An older file of that name says nothing about pictures.
    write_json(&new, &json!({"processor_class": "CLIPProcessor"}));
    assert_eq!(load(dir.path()).unwrap().preprocess, PreprocessConfig::openai(32));
    write_json(&new, &json!({"image_processor": half, "processor_class": "CLIPProcessor"}));
    refused(
        dir.path(),
        &["preprocessor_config.json", "processor_config.json", "image_mean", "0.5"],
    );
    fs::remove_file(&old).unwrap();
    let read = load(dir.path()).unwrap();
    let expected =
        PreprocessConfig { mean: [0.5; 3], std: [0.5; 3], ..PreprocessConfig::openai(32) };
    assert_eq!(read.preprocess, expected);
    // What was used is written down.
    let written = tempfile::tempdir().unwrap();
    read.save(written.path()).unwrap();
    assert_eq!(load(written.path()).unwrap().preprocess, expected);
    let squash = json!({"size": {"height": 32, "width": 32}, "crop_size": 32});
    write_json(&old, &squash);
    fs::remove_file(&new).unwrap();
    assert_eq!(load(dir.path()).unwrap().preprocess.fit, Fit::Squash);
    write_json(&old, &json!({"image_processor_type": "CLIPImageProcessor"}));
    refused(dir.path(), &["image_size", "32", "224"]);
}

#[test]
fn weights_are_found_under_every_usual_name() {
    let plain = texts(&load(&fixture("clipscore")).unwrap());
    let dir = folder("clipscore");
    let weights = dir.path().join("model.safetensors");
    let map: serde_json::Map<String, Value> =
        SafeTensors::deserialize(&fs::read(&weights).unwrap())
            .unwrap()
            .names()
            .into_iter()
            .map(|name| (name.to_string(), json!("model-00001-of-00001.safetensors")))
            .collect();
    fs::rename(&weights, dir.path().join("model-00001-of-00001.safetensors")).unwrap();
    let index = dir.path().join("model.safetensors.index.json");
    write_json(&index, &json!({"weight_map": map}));
    assert_close(texts(&load(dir.path()).unwrap()), plain.clone(), "index");
    assert_close(texts(&load(&index).unwrap()), plain.clone(), "index by name");
    // The same for PyTorch's files, whose shards may be any file that is read.
    fs::rename(&index, dir.path().join("pytorch_model.bin.index.json")).unwrap();
    assert_close(texts(&load(dir.path()).unwrap()), plain, "index of .bin");
    let shard = dir.path().join("model-00001-of-00001.safetensors");
    fs::remove_file(dir.path().join("pytorch_model.bin.index.json")).unwrap();
    fs::rename(&shard, dir.path().join("model.fp16.safetensors")).unwrap();
    refused(dir.path(), &["model.fp16.safetensors", "model.safetensors"]);
    fs::remove_file(dir.path().join("model.fp16.safetensors")).unwrap();
    refused(dir.path(), &["holds no weights"]);
    fs::write(dir.path().join("adapter_config.json"), "{}").unwrap();
    refused(dir.path(), &["PEFT", "merge_and_unload"]);
}

#[test]
fn prefixes_are_stepped_over_and_adapters_refused() {
    let plain = texts(&load(&fixture("clipscore")).unwrap());
    let dir = folder("clipscore");
    let weights = dir.path().join("model.safetensors");
    rename(&weights, |name| Some(format!("base_model.model.{name}")));
    assert_close(texts(&load(dir.path()).unwrap()), plain, "prefix");
    rename(&weights, |name| Some(name.replace("q_proj.weight", "q_proj.base_layer.weight")));
    refused(dir.path(), &["LoRA", "base_layer", "merge_and_unload"]);
}

#[test]
fn a_text_tower_below_text_is_the_same_clip() {
    let dir = folder("clip_open_vit");
    let expected = Expected::read("clip_open_vit");
    let weights = dir.path().join("open_clip_model.safetensors");
    let config = dir.path().join("open_clip_config.json");
    for settings in [json!({}), json!({"custom_text": true})] {
        if settings != json!({}) {
            rename(&weights, |name| {
                let is_text = !name.starts_with("visual.") && name != "logit_scale";
                Some(if is_text { format!("text.{name}") } else { name.to_string() })
            });
            let mut value = read_json(&config);
            value["model_cfg"]["custom_text"] = json!(true);
            value["model_cfg"]["text_cfg"]["pool_type"] = json!("argmax");
            value["model_cfg"]["vision_cfg"]["ls_init_value"] = Value::Null;
            value["preprocess_cfg"]["mode"] = json!("RGB");
            write_json(&config, &value);
        }
        let (model, _) =
            ClipWeights::open(dir.path(), None).unwrap().load_model(&Device::flex()).unwrap();
        let text = model.encode_tokens(&expected.ids("input_ids"), &Device::flex()).unwrap();
        assert_close(text, expected.floats("text_embeds_raw"), &settings.to_string());
        let image = model.encode_image(expected.floats("pixel_values")).embedding;
        assert_close(image, expected.floats("image_embeds_raw"), &settings.to_string());
    }
    for (section, key, value) in [
        ("text_cfg", "pool_type", json!("last")),
        ("text_cfg", "hf_model_name", json!("roberta-base")),
        ("text_cfg", "no_causal_mask", json!(true)),
        ("vision_cfg", "timm_model_name", json!("vit_base")),
        ("vision_cfg", "global_average_pool", json!(true)),
    ] {
        let mut changed = read_json(&config);
        changed["model_cfg"][section][key] = value;
        write_json(&config, &changed);
        let error = ClipWeights::open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
        changed["model_cfg"][section].as_object_mut().unwrap().remove(key);
        write_json(&config, &changed);
    }
    let mut changed = read_json(&config);
    changed["preprocess_cfg"]["size"] = json!([7, 7]);
    write_json(&config, &changed);
    let error = ClipWeights::open(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("`size`"), "{error}");
}

/// A folder of one tower as transformers saves it.
fn tower(tower: Tower, with_projection: bool) -> TempDir {
    let dir = folder("clipscore");
    let (part, projection, kind) = match tower {
        Tower::Text => ("text", "text_projection.", "clip_text_model"),
        Tower::Image => ("vision", "visual_projection.", "clip_vision_model"),
    };
    let config = dir.path().join("config.json");
    let whole = read_json(&config);
    let mut alone = whole[format!("{part}_config")].clone();
    alone["model_type"] = json!(kind);
    alone["projection_dim"] = whole["projection_dim"].clone();
    write_json(&config, &alone);
    rename(&dir.path().join("model.safetensors"), |name| {
        let own = name.starts_with(&format!("{part}_model."))
            || (with_projection && name.starts_with(projection));
        own.then(|| name.to_string())
    });
    dir
}

#[test]
fn a_single_tower_does_what_it_can() {
    let device = Device::flex();
    let whole = load(&fixture("clipscore")).unwrap();
    let load_tower = |dir: &Path, tower| {
        ClipPipeline::load_tower(dir, tower, &device).map_err(|error| error.to_string())
    };
    let text = tower(Tower::Text, true);
    let read = load_tower(text.path(), Tower::Text).unwrap();
    assert_close(texts(&read), texts(&whole), "text");
    refused(text.path(), &["a text tower alone", "pictures"]);
    assert!(load_tower(text.path(), Tower::Image).unwrap_err().contains("pictures"));

    let image = tower(Tower::Image, true);
    let read = load_tower(image.path(), Tower::Image).unwrap();
    let pictures: [finecap_clip::Picture; 1] =
        [image::RgbImage::from_fn(40, 33, |x, y| image::Rgb([x as u8, y as u8, 9])).into()];
    let embed = |clip: &ClipPipeline| clip.embed_images(&pictures, &device).unwrap().embedding;
    assert_close(embed(&read), embed(&whole), "image");
    refused(image.path(), &["an image tower alone", "captions"]);
    assert!(ClipWeights::open(image.path(), None).unwrap().tokenizer().is_err());

    let bare = tower(Tower::Text, false);
    let error = load_tower(bare.path(), Tower::Text).unwrap_err();
    assert!(error.contains("projection"), "{error}");
    // A configuration of both towers beside the weights of one.
    fs::copy(fixture("clipscore/config.json"), text.path().join("config.json")).unwrap();
    refused(text.path(), &["a text tower alone", "both towers"]);
}

#[test]
fn vocabularies_in_two_files_are_read_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let openai = ClipTokenizer::openai().unwrap();
    openai.save(dir.path()).unwrap();
    let model = read_json(&dir.path().join("tokenizer.json"))["model"].clone();
    let mut vocab = model["vocab"].clone();
    let (dog, cat) = (vocab["dog</w>"].clone(), vocab["cat</w>"].clone());
    (vocab["dog</w>"], vocab["cat</w>"]) = (cat, dog);
    let merges: Vec<String> = (model["merges"].as_array().unwrap().iter())
        .map(|pair| match pair {
            Value::String(pair) => pair.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        })
        .collect();
    let (vocab_path, merges_path) = (dir.path().join("vocab.json"), dir.path().join("merges.txt"));
    fs::write(&vocab_path, format!("\u{feff}{vocab}")).unwrap();
    fs::write(&merges_path, format!("#version: 0.2\n{}\n", merges.join("\n"))).unwrap();
    let read = ClipTokenizer::from_parts(&vocab_path, &merges_path).unwrap();
    let ids =
        |tokenizer: &ClipTokenizer| tokenizer.encode("A dog, a caterpillar & 3 Dogs!", 77).unwrap();
    let mut expected = ids(&openai);
    let dog = model["vocab"]["dog</w>"].as_u64().unwrap() as u32;
    let cat = model["vocab"]["cat</w>"].as_u64().unwrap() as u32;
    expected.iter_mut().filter(|id| **id == dog).for_each(|id| *id = cat);
    assert_eq!(ids(&read), expected);

    // Beside a folder's weights: its own, compared with tokenizer.json where both are there.
    let model = folder("clip_tiny");
    fs::copy(&vocab_path, model.path().join("vocab.json")).unwrap();
    let half = ClipWeights::open(model.path(), None).unwrap_err().to_string();
    assert!(half.contains("vocab.json") && half.contains("merges.txt"), "{half}");
    fs::copy(&merges_path, model.path().join("merges.txt")).unwrap();
    let small = ClipWeights::open(model.path(), None).unwrap().tokenizer().unwrap_err().to_string();
    assert!(small.contains("vocab_size"), "{small}");
    fs::copy(dir.path().join("tokenizer.json"), model.path().join("tokenizer.json")).unwrap();
    let both = ClipWeights::open(model.path(), None).unwrap().tokenizer().unwrap_err().to_string();
    assert!(both.contains("tokenizer.json") && both.contains("vocab.json"), "{both}");
    assert!(both.contains("cat</w>"), "{both}");
}

#[test]
fn two_configurations_must_agree() {
    let dir = folder("clip_open_vit");
    let device = Device::flex();
    let (model, _) = ClipWeights::open(dir.path(), None).unwrap().load_model(&device).unwrap();
    drop(model);
    let config = ClipWeights::open(dir.path(), None).unwrap().config().clone();
    let mut same = json!(config);
    same["model_type"] = json!("clip");
    write_json(&dir.path().join("config.json"), &same);
    ClipWeights::open(dir.path(), None).unwrap();
    same["text_config"]["hidden_act"] = json!("quick_gelu");
    write_json(&dir.path().join("config.json"), &same);
    let error = ClipWeights::open(dir.path(), None).unwrap_err().to_string();
    assert!(error.contains("config.json") && error.contains("open_clip_config.json"), "{error}");
    assert!(error.contains("text_config.hidden_act"), "{error}");
}
