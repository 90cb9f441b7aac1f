//! Training on webdataset's shards.

mod common;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use common::{World, fail, finecap, succeed};

/// The scenes of a world as two shards, and the pattern that names them.
fn shards(world: &World) -> PathBuf {
    let dataset = fs::read_to_string(world.path("data/dataset.json")).unwrap();
    let dataset: serde_json::Value = serde_json::from_str(&dataset).unwrap();
    let images = dataset["images"].as_array().unwrap();
    for (shard, images) in images.chunks(images.len().div_ceil(2)).enumerate() {
        let file = File::create(world.path(&format!("data/{shard}.tar"))).unwrap();
        let mut builder = tar::Builder::new(file);
        for image in images {
            let name = image["filename"].as_str().unwrap();
            let stem = name.strip_suffix(".png").unwrap();
            builder.append_path_with_name(world.path("data/images").join(name), name).unwrap();
            let captions: Vec<&str> = image["sentences"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["raw"].as_str().unwrap())
                .collect();
            let text = captions.join("\n");
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, format!("{stem}.txt"), text.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
    }
    world.path("data/{0..1}.tar")
}

fn train(world: &World, phase: &str, run: &str, more: &[&str]) -> Command {
    let mut command = finecap();
    command.args(["train", phase, "--data"]).arg(world.path("data/{0..1}.tar"));
    command.arg("--config").arg(world.path("tiny.toml")).arg("--out").arg(world.path(run));
    command.args(more);
    command
}

#[test]
fn clip_and_a_captioner_are_trained_on_shards() {
    let world = World::new();
    let pattern = shards(&world);
    let error = fail(&mut train(&world, "clip", "run", &[]));
    assert!(error.contains("clip.tokenizer"), "{error}");
    // Longer than two epochs of 20 pairs, and gone on with within the second one.
    let settings = ["--set", "clip.tokenizer=openai", "--set", "clip.batch_size=4"];
    let whole =
        [&settings[..], &["--set", "clip.steps=12", "--set", "checkpoint.every=3"]].concat();
    succeed(&mut train(&world, "clip", "whole", &whole));
    let model = |run: &str| fs::read(world.path(run).join("clip/model/model.safetensors")).unwrap();
    succeed(&mut train(&world, "clip", "run", &whole));
    assert_eq!(model("run"), model("whole"));
    fs::remove_dir_all(world.path("run/clip/model")).unwrap();
    fs::remove_dir_all(world.path("run/clip/checkpoints/step-0000012")).unwrap();
    succeed(&mut train(&world, "clip", "run", &[&whole[..], &["--resume"]].concat()));
    assert_eq!(model("run"), model("whole"));

    succeed(&mut train(&world, "mle", "run", &[]));
    assert!(world.path("run/mle/model/vocab.json").exists());
    let inspected = succeed(finecap().args(["data", "inspect"]).arg(&pattern));
    let inspected = String::from_utf8(inspected.stdout).unwrap();
    assert!(inspected.contains("tar shards") && inspected.contains("images    20"), "{inspected}");
}

#[test]
fn shards_need_no_folder_and_files_need_one() {
    let world = World::new();
    shards(&world);
    let images = world.path("data/images");
    let error = fail(train(&world, "clip", "run", &[]).arg("--images").arg(&images));
    assert!(error.contains("leave --images out"), "{error}");
    let mut command = finecap();
    command.args(["train", "clip", "--data"]).arg(world.path("data/dataset.json"));
    let error = fail(command.arg("--out").arg(world.path("run")));
    assert!(error.contains("--images"), "{error}");
    fs::remove_file(world.path("data/1.tar")).unwrap();
    let error = fail(&mut train(&world, "clip", "run", &[]));
    assert!(error.contains("1.tar"), "{error}");
}
