//! No features are taken for others: neither in a store nor by a captioner.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use burn::tensor::Device;
use common::{World, fail, files, finecap, succeed};
use finecap::captioner::{FeatureSource, FeatureSpec};
use finecap::clip::{
    ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig, ResNetConfig, VisionConfig,
};
use finecap::train::{FeatureStore, GridType, TrainError, write_npy};
use serde_json::Value;

/// A CLIP with a small random ResNet that reads 32 pixels, grids 64 wide.
fn resnet(dir: &Path, seed: u64) {
    let words = ["a", "photo", "of", "red", "square"];
    let tokenizer = ClipTokenizer::from_words(words).unwrap();
    let vision = ResNetConfig { layers: [1; 4], width: 2, heads: 4, image_size: 32 };
    let config = ClipConfig {
        vision_config: VisionConfig::ResNet(vision),
        ..ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id())
    };
    let device = Device::flex();
    device.seed(seed);
    let model = config.init(&device).unwrap();
    let preprocess = PreprocessConfig::openai(32);
    ClipPipeline::new(config, model, tokenizer, preprocess).unwrap().save(dir).unwrap();
}

fn world() -> World {
    let world = World::new();
    resnet(&world.path("clip"), 1);
    world
}

fn extract(world: &World, clip: &str, store: &str, more: &[&str]) -> Command {
    let mut command = finecap();
    command.current_dir(world.path("")).args(["features", "extract", "--clip", clip]);
    command.args(["--data", "data/dataset.json", "--images", "data/images", "--out", store]);
    command.args(more);
    command
}

fn import(world: &World, from: &str, store: &str) -> Command {
    let mut command = finecap();
    command.current_dir(world.path("")).args(["features", "import", "--from", from]);
    command.args(["--data", "data/dataset.json", "--out", store]);
    command
}

/// One array `[4, 3]` for each image of the world, of numbers from `first` on.
fn arrays(world: &World, dir: &str, first: usize) {
    fs::create_dir(world.path(dir)).unwrap();
    for image in 0..20 {
        let path = world.path(&format!("{dir}/{image:06}.npy"));
        let values = (0..12).map(|i| (first + image * 12 + i) as f32);
        write_npy(&path, 4, &[3], values).unwrap();
    }
}

/// Changes a folder of a CLIP by hand.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn a_store_is_not_taken_for_another() {
    let world = world();
    resnet(&world.path("other"), 2);
    arrays(&world, "a", 0);
    arrays(&world, "b", 1);
    succeed(&mut extract(&world, "clip", "plain", &[]));
    succeed(&mut extract(&world, "clip", "large", &["--size", "64"]));
    succeed(&mut import(&world, "a", "imported"));
    let before = files(&world.path(""));

    let refused = |command: &mut Command, expected: &[&str]| {
        let message = fail(command);
        for words in expected.iter().chain(&["delete the folder"]) {
            assert!(message.contains(words), "{words} in {message}");
        }
    };
    let extracted = |clip: &str, store: &str, more: &[&str], expected: &[&str]| {
        refused(&mut extract(&world, clip, store, more), expected);
    };
    let size = ["`size` is 64 in it, but 96 now", "`grid` is 4 positions of width 64 in it, but 9"];
    extracted("clip", "large", &["--size", "96"], &size);
    let default = ["`size` is 64 in it, but 32", "`fit` is squash in it, but centre_crop"];
    extracted("clip", "large", &[], &default);
    extracted("clip", "plain", &["--size", "32"], &["`fit` is centre_crop", "`embedding` is 128"]);
    extracted("clip", "plain", &["--type", "f16"], &["`type` is f32 in it, but f16 now"]);
    extracted("other", "plain", &[], &["`weights` is "]);
    extracted("clip", "imported", &[], &["`source` is imported files in it, but a CLIP model"]);
    refused(&mut import(&world, "a", "plain"), &["`source`", "`weights`", "unknown now"]);
    refused(&mut import(&world, "b", "imported"), &["made from other files", "000000"]);
    assert_eq!(files(&world.path("")), before, "what is refused is left as it was");

    // The same again is there already, also through another data set's eyes.
    succeed(&mut extract(&world, "clip", "plain", &[]));
    succeed(&mut extract(&world, "clip", "large", &["--size", "64"]));
    succeed(&mut import(&world, "a", "imported"));
    assert_eq!(files(&world.path("")), before);

    // An import that stopped halfway goes on with its own files only.
    let rows = fs::read(world.path("imported/store.f32")).unwrap();
    fs::remove_file(world.path("imported/store.f32")).unwrap();
    fs::write(world.path("imported/store.f32.part"), &rows[..rows.len() / 2 + 5]).unwrap();
    refused(&mut import(&world, "b", "imported"), &["made from other files"]);
    succeed(&mut import(&world, "a", "imported"));
    assert_eq!(fs::read(world.path("imported/store.f32")).unwrap(), rows);
}

#[test]
fn another_activation_or_preprocessing_is_noticed() {
    let world = World::new();
    succeed(&mut world.train("clip", "run", &[]));
    succeed(&mut world.train("mle", "run", &[]));
    let config = world.path("run/clip/model/config.json");
    let preprocessor = world.path("run/clip/model/preprocessor_config.json");
    let good = [&config, &preprocessor].map(|path| fs::read(path).unwrap());
    let scst = || fail(&mut world.train("scst", "run", &[]));

    edit(&config, |json| json["vision_config"]["hidden_act"] = "gelu".into());
    let message = scst();
    assert!(
        message.contains("`activation` is quick_gelu") && message.contains("gelu"),
        "{message}"
    );
    let mut caption = finecap();
    caption.args(["caption", "--model"]).arg(world.path("run"));
    caption.arg(world.path("data/images"));
    let message = fail(&mut caption);
    assert!(message.contains("`activation` is quick_gelu for it and gelu"), "{message}");
    fs::write(&config, &good[0]).unwrap();

    edit(&preprocessor, |json| json["image_mean"] = serde_json::json!([0.5, 0.5, 0.5]));
    let message = scst();
    assert!(
        message.contains("`mean` is [0.48") && message.contains("[0.5, 0.5, 0.5]"),
        "{message}"
    );
    // Pictures are prepared as the captioner asks for, whatever the folder says since.
    let changed = succeed(&mut caption).stdout;
    fs::write(&preprocessor, &good[1]).unwrap();
    assert_eq!(succeed(&mut caption).stdout, changed);
    succeed(&mut world.train("scst", "run", &[]));
}

#[test]
fn damaged_and_old_stores_are_refused() {
    let world = world();
    succeed(&mut extract(&world, "clip", "store", &[]));
    let json = world.path("store/store.json");
    let good = fs::read_to_string(&json).unwrap();
    let mut value: Value = serde_json::from_str(&good).unwrap();
    let old = serde_json::json!({
        "grid": [1, 64], "embedding": 128, "type": "f32", "weights": "0123", "images": []
    });
    let refused = |content: &str, expected: &str| {
        fs::write(&json, content).unwrap();
        let message = fail(&mut extract(&world, "clip", "store", &[]));
        assert!(message.contains("store.json") && message.contains(expected), "{message}");
    };
    refused(&old.to_string(), "an earlier finecap");
    refused(&good[..good.len() / 2], "is not what finecap wrote there");
    refused("", "is not what finecap wrote there");
    value["images"][1] = value["images"][0].clone();
    refused(&value.to_string(), "stands in it twice");
    for grid in [[u64::MAX, 2], [1 << 40, 1 << 40], [1 << 31, 1 << 31]] {
        let mut value: Value = serde_json::from_str(&good).unwrap();
        value["features"]["grid"] = serde_json::json!(grid);
        refused(&value.to_string(), "more than can be");
    }
    fs::write(&json, &good).unwrap();

    // Rows without a header, or more of them than there can be, are not believed.
    let rows = fs::read(world.path("store/store.f32")).unwrap();
    let long = [&rows[..], &rows[..]].concat();
    let again = || {
        succeed(&mut extract(&world, "clip", "store", &[]));
        assert!(fs::read(world.path("store/store.f32")).unwrap() == rows);
    };
    fs::remove_file(world.path("store/store.f32")).unwrap();
    fs::write(world.path("store/store.f32.part"), &long).unwrap();
    again();
    for name in ["store.f32", "store.f32.part"] {
        fs::remove_file(&json).unwrap();
        fs::write(world.path("store").join(name), &long[7..rows.len()]).unwrap();
        again();
    }
}

#[test]
fn a_captioner_sees_what_it_was_trained_on() {
    let world = world();
    resnet(&world.path("other"), 2);
    succeed(&mut extract(&world, "clip", "large", &["--size", "64"]));
    for phase in ["mle", "scst"] {
        let more = ["--features", "large", "--clip", "clip"];
        succeed(world.train(phase, "run", &more).current_dir(world.path("")));
    }
    let caption = |more: &[&str]| {
        let mut command = finecap();
        command.current_dir(world.path("")).args(["caption", "--model"]).args(more);
        command
    };
    // One line a picture, without its folder, and what was told.
    let lines = |more: &[&str]| {
        let output = succeed(&mut caption(more));
        let text = String::from_utf8(output.stdout).unwrap().replace("data/images/", "");
        (text, String::from_utf8(output.stderr).unwrap())
    };
    for model in ["run/mle", "run/scst"] {
        // Pictures of 64 pixels, squashed, though the CLIP asks for the centre of 32.
        let (pictures, told) = lines(&[model, "data/images"]);
        let (features, _) = lines(&[model, "--features", "large"]);
        assert_eq!(pictures, features);
        assert!(!told.contains("not certain"), "{told}");
        let other = fail(&mut caption(&[model, "data/images", "--clip", "other"]));
        assert!(other.contains("`weights` is ") && !other.contains("`size`"), "{other}");
    }

    // Features of another size, or in another order of things, are refused by name.
    succeed(&mut extract(&world, "clip", "plain", &[]));
    let plain = fail(&mut caption(&["run", "--features", "plain"]));
    assert!(plain.contains("`size` is 64 for it and 32 for these"), "{plain}");
    assert!(
        plain.contains("`fit` is squash") && plain.contains("--features plain is not for"),
        "{plain}"
    );
    let more = ["--features", "plain", "--clip", "clip", "--start", "run/mle/model"];
    let scst = fail(world.train("scst", "again", &more).current_dir(world.path("")));
    assert!(scst.contains("`size` is 64 for it"), "{scst}");
    assert!(!world.path("again").exists());

    // Imported ones may be right; what nobody tells is said once.
    let rows = (0..20).map(|i| Ok::<_, TrainError>((format!("{i:06}.png"), vec![i as f32; 256])));
    let spec = FeatureSpec::unknown(FeatureSource::Files, [4, 64]);
    FeatureStore::from_rows(&world.path("rows"), spec, GridType::F16, rows).unwrap();
    let (_, told) = lines(&["run", "--features", "rows"]);
    assert_eq!(told.matches("not certain").count(), 1, "{told}");
    assert!(told.contains("nothing says their layer, model, weights"), "{told}");

    // A captioner of before has no word about its features.
    edit(&world.path("run/mle/model/config.json"), |json| {
        json["model"].as_object_mut().unwrap().remove("features").unwrap();
    });
    let (_, told) = lines(&["run/mle", "--features", "plain"]);
    assert!(told.contains("not certain"), "{told}");
}
