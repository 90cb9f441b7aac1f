//! The command as a user types it: what works, and what bad input answers.

mod common;

use std::fs;
use std::path::Path;

use common::{World, fail, files, finecap, succeed};
use serde_json::Value;

#[test]
fn doctor_reports_backends() {
    let output = succeed(finecap().arg("doctor"));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["finecap   0.", "simd", "flex", "cuda", "--features"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
}

#[test]
fn inspect_reports_what_a_file_holds() {
    let fixture = |name: &str| {
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures").join(name)
    };
    let text = |name: &str| {
        let output = succeed(finecap().arg("inspect").arg(fixture(name)));
        String::from_utf8(output.stdout).unwrap()
    };
    let checkpoint = text("weights/lightning.ckpt");
    for expected in
        ["PyTorch", "CLIP of unpublished sizes", "d_model: 512", "3: \"Käse\"", "[4, 3, 2, 2]"]
    {
        assert!(checkpoint.contains(expected), "{expected} in {checkpoint}");
    }
    for (name, expected) in [
        ("weights/script.pt", "TorchScript"),
        ("weights/state.pt", "none that finecap knows"),
        ("clip_tiny/model.safetensors", "CLIP of unpublished sizes"),
        ("captioner/reference.ckpt", "captioner, with the names of the paper's code: 23 words"),
    ] {
        let text = text(name);
        assert!(text.contains(expected), "{expected} in {text}");
    }

    let json = succeed(finecap().args(["inspect", "--json"]).arg(fixture("weights/state.pt")));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["format"], "PyTorch");
    assert_eq!(json["tensors"][7]["name"], "logit_scale");
    assert_eq!(json["tensors"][7]["shape"], serde_json::json!([]));

    let message = fail(finecap().arg("inspect").arg(fixture("cider.json")));
    assert!(message.contains("cider.json is JSON without a `weight_map`"), "{message}");
}

#[test]
fn scenes_writes_a_data_set_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("scenes");
    let command = || {
        let mut command = finecap();
        command.args(["scenes", "--train", "5", "--val", "1", "--test", "2", "--out"]).arg(&out);
        command
    };
    succeed(&mut command());
    assert_eq!(fs::read_dir(out.join("images")).unwrap().count(), 8);
    assert!(fail(&mut command()).contains("not empty"));
}

#[test]
fn three_phases_and_captions() {
    let world = World::new();
    world.trained("run");
    let log = fs::read_to_string(world.path("run/scst/metrics.jsonl")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    for key in [
        "step",
        "seconds",
        "reward",
        "reward_std",
        "clip_s_mean",
        "clip_s_std",
        "cider_mean",
        "cider_std",
        "advantage_mean",
        "advantage_std",
        "zero_spread_groups",
        "caption_length",
        "entropy",
        "gradient_norm",
        "lr",
        "images_per_second",
        "loss",
    ] {
        assert!(first[key].is_number(), "{key} in {first}");
    }
    // What enters the loss is what is logged.
    let number = |key: &str| first[key].as_f64().unwrap();
    let sum = number("clip_s_mean") + 0.5 * number("cider_mean");
    assert!((number("reward") - sum).abs() < 1e-5, "{first}");

    let image = world.path("data/images/000003.png");
    let broken = world.path("broken.png");
    fs::write(&broken, b"not a picture").unwrap();
    let caption = |model: &str| {
        let mut command = finecap();
        command.arg("caption").arg(&image).arg(&broken).arg("--model").arg(world.path(model));
        succeed(&mut command)
    };
    for model in ["run", "run/mle"] {
        let output = caption(model);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("000003.png\t"), "{text}");
        let skipped = String::from_utf8(output.stderr).unwrap();
        assert!(skipped.contains("skipped") && skipped.contains("broken.png"), "{skipped}");
    }
    let folder = succeed(
        finecap()
            .arg("caption")
            .arg(world.path("data/images"))
            .arg("--model")
            .arg(world.path("run")),
    );
    assert_eq!(String::from_utf8(folder.stdout).unwrap().lines().count(), 20);
    let only_broken =
        fail(finecap().arg("caption").arg(&broken).arg("--model").arg(world.path("run")));
    assert!(only_broken.contains("none of the"), "{only_broken}");

    // The same seed gives the same files, but for the time in the log.
    world.trained("again");
    for phase in ["clip", "mle", "scst"] {
        let models =
            ["run", "again"].map(|run| files(&world.path(&format!("{run}/{phase}/model"))));
        for ((path, a), (_, b)) in models[0].iter().zip(&models[1]) {
            assert!(a == b, "{} differs", path.display());
        }
    }
}

#[test]
fn bad_input_is_one_sentence_and_exit_code_2() {
    let world = World::new();
    let missing = fail(&mut world.train("mle", "run", &[]));
    assert!(missing.contains("CLIP model") && missing.contains("finecap train clip"), "{missing}");
    assert!(!world.path("run").exists(), "nothing half-written");

    succeed(&mut world.train("clip", "run", &[]));
    let again = fail(&mut world.train("clip", "run", &[]));
    assert!(again.contains("--resume"), "{again}");
    let other = fail(&mut world.train("clip", "run", &["--resume", "--set", "clip.steps=5"]));
    assert!(
        other.contains("other settings") && other.contains("`clip.steps` was 4 and is 5"),
        "{other}"
    );

    let unknown = fail(&mut world.train("clip", "x", &["--set", "clip.stepps=5"]));
    assert!(unknown.contains("did you mean `steps`"), "{unknown}");
    let kind = fail(&mut world.train("clip", "x", &["--set", "clip.steps=many"]));
    assert!(kind.contains("tiny.toml") && kind.contains("clip.steps"), "{kind}");
    let device = fail(world.train("clip", "x", &[]).args(["--device", "gpu"]));
    assert!(device.contains("no device called `gpu`"), "{device}");
    if cfg!(not(feature = "cuda")) {
        let device = fail(world.train("clip", "x", &[]).args(["--device", "cuda:1"]));
        assert!(device.contains("--features cuda"), "{device}");
    }

    // A caption without words is left out, by name; a cut file and a picture that is not there are not
    // read over.
    let dataset = fs::read_to_string(world.path("data/dataset.json")).unwrap();
    let mut json: Value = serde_json::from_str(&dataset).unwrap();
    json["images"][2]["sentences"][1] = serde_json::json!({"tokens": [" "], "raw": "."});
    fs::write(world.path("data/dataset.json"), json.to_string()).unwrap();
    let empty = succeed(&mut world.train("clip", "y", &[]));
    let note = String::from_utf8(empty.stderr).unwrap();
    assert!(note.contains("captions without words") && note.contains("000002.png"), "{note}");
    fs::write(world.path("data/dataset.json"), &dataset[..dataset.len() / 2]).unwrap();
    let cut = fail(&mut world.train("clip", "x", &[]));
    assert!(cut.contains("dataset.json"), "{cut}");
    fs::write(world.path("data/dataset.json"), dataset).unwrap();
    fs::remove_file(world.path("data/images/000004.png")).unwrap();
    let gone = fail(&mut world.train("clip", "x", &[]));
    assert!(gone.contains("no picture for `000004.png`"), "{gone}");
}

#[test]
fn a_bad_image_stops_training_unless_it_is_skipped() {
    let world = World::new();
    let image = world.path("data/images/000001.png");
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[..bytes.len() / 2]).unwrap();
    let stopped = fail(&mut world.train("clip", "a", &[]));
    assert!(stopped.contains("000001.png"), "{stopped}");
    let output = succeed(&mut world.train("clip", "b", &["--skip-bad-images"]));
    let skipped = String::from_utf8(output.stderr).unwrap();
    assert!(skipped.contains("skipped") && skipped.contains("000001.png"), "{skipped}");
}

#[test]
fn features_and_vocabulary_must_belong_to_the_model() {
    let world = World::new();
    world.trained("one");
    succeed(&mut world.train("clip", "two", &["--set", "seed=2"]));
    let features = world.path("one/features");
    let features = features.to_str().unwrap();
    let other = fail(&mut world.train("mle", "two", &["--set", "seed=2", "--features", features]));
    assert!(other.contains("store.json") && other.contains("`weights` is"), "{other}");

    // A vocabulary that is not the checkpoint's.
    let path = world.path("one/mle/model/vocab.json");
    let mut vocab: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    vocab["words"][0] = "zebra".into();
    fs::write(&path, vocab.to_string()).unwrap();
    let wrong = fail(
        finecap()
            .arg("caption")
            .arg(world.path("data/images"))
            .arg("--model")
            .arg(world.path("one/mle")),
    );
    assert!(wrong.contains("vocabulary"), "{wrong}");

    // A killed extraction goes on where it stopped, and gives the same bytes.
    let store = world.path("one/features/store.f32");
    let whole = fs::read(&store).unwrap();
    fs::remove_file(&store).unwrap();
    fs::write(world.path("one/features/store.f32.part"), &whole[..whole.len() / 2 + 7]).unwrap();
    fs::remove_dir_all(world.path("one/mle")).unwrap();
    succeed(&mut world.train("mle", "one", &[]));
    assert!(fs::read(&store).unwrap() == whole);
}

#[test]
fn a_loss_that_is_not_finite_stops_before_the_step() {
    let world = World::new();
    for phase in ["clip", "mle"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    // Rewards are finite, but their sum is not, before any weight has moved.
    let message = fail(&mut world.train("scst", "run", &["--set", "scst.reward.clip_s_w=1e38"]));
    assert!(message.contains("loss is not finite at step 1"), "{message}");
    let images = fs::read_to_string(world.path("run/scst/not-finite-step-1.json")).unwrap();
    assert!(images.contains(".png"), "{images}");
    assert!(!world.path("run/scst/model").exists());
}
