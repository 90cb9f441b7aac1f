//! `finecap eval` on files, through the command.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{fail, finecap, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The example of the clipscore repository.
fn references() -> Value {
    json!({
        "image1": [
            "two cats are sleeping next to each other.",
            "a grey cat is cuddling with an orange cat on a blanket.",
            "the orange cat is happy that the black cat is close to it.",
        ],
        "image2": [
            "a dog is wearing ear muffs as it lies on a carpet.",
            "a black dog and an orange cat are looking at the photographer.",
            "headphones are placed on a dogs ears.",
        ],
    })
}

fn good() -> Value {
    json!({
        "image1": "an orange cat and a grey cat are lying together.",
        "image2": "a black dog wearing headphones looks at the camera as an orange cat walks in the background.",
    })
}

fn bad() -> Value {
    json!({
        "image1": "a calico cat and a white cat are lying together.",
        "image2": "a black dog wearing a hat looks at the camera as a tabby walks in the background.",
    })
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(self, name: &str, content: &Value) -> Self {
        fs::write(self.0.path().join(name), content.to_string()).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn eval(&self, candidates: &str, references: &str, more: &[&str]) -> Command {
        let mut command = finecap();
        command.current_dir(self.path()).env_remove("FINECAP_METEOR_DATA");
        command.args(["eval", "captions", "--candidates", candidates]);
        command.args(["--references", references]).args(more);
        command
    }
}

/// Fails with one line that says all of `parts`.
fn refused(command: &mut Command, parts: &[&str]) {
    let error = fail(command);
    for part in parts {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn assert_scores(found: &Value, expected: &[(&str, f64)]) {
    for (name, score) in expected {
        let found = found["scores"][name]["score"].as_f64().unwrap();
        assert!((found - score).abs() < 1e-9, "{name}: {found}");
    }
}

/// The numbers are pycocoevalcap's, its tokenizer included.
#[test]
fn the_clipscore_example_scores_as_in_coco_caption() {
    let files = Files::new().with("refs.json", &references()).with("good.json", &good());
    let files = files.with("bad.json", &bad());
    let output = succeed(&mut files.eval("good.json", "refs.json", &["--json"]));
    let expected = [
        ("BLEU-1", 0.6666666666),
        ("BLEU-2", 0.4898979485),
        ("BLEU-3", 0.3468814951),
        ("ROUGE-L", 0.4280104846),
        ("CIDEr-D", 0.5637412592),
    ];
    assert_scores(&json_of(&output), &expected);

    let more = ["--json", "--baseline", "good.json", "--output", "all.json"];
    let found = json_of(&succeed(&mut files.eval("bad.json", "refs.json", &more)));
    let expected = [
        ("BLEU-1", 0.4814814815),
        ("BLEU-2", 0.2403700850),
        ("BLEU-3", 0.1359390820),
        ("ROUGE-L", 0.3121105473),
        ("CIDEr-D", 0.2790165307),
    ];
    assert_scores(&found, &expected);
    let cider = &found["scores"]["CIDEr-D"];
    let number = |key: &str| cider[key].as_f64().unwrap();
    assert!((number("baseline") - 0.5637412592).abs() < 1e-9);
    assert!((number("difference") - (0.2790165307 - 0.5637412592)).abs() < 1e-9);
    assert!((0.0..=1.0).contains(&number("p")));
    assert!(found["scores"]["SPICE"].as_str().unwrap().contains("not computed"));
    let whole: Value =
        serde_json::from_str(&fs::read_to_string(files.path().join("all.json")).unwrap()).unwrap();
    let first = &whole["images"]["image1"];
    assert_eq!(first["caption"], bad()["image1"]);
    let of_image = |image: &str| whole["images"][image]["CIDEr-D"].as_f64().unwrap();
    assert!(((of_image("image1") + of_image("image2")) / 2.0 - number("score")).abs() < 1e-12);
    assert!(found.get("images").is_none());
}

/// The numbers are METEOR's jar's, with the small data that stand in for its own here.
#[test]
fn meteor_needs_its_data() {
    let files = Files::new().with("refs.json", &references()).with("good.json", &good());
    let files = files.with("bad.json", &bad());
    let data = format!("{}/fixtures/meteor", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let more = ["--json", "--baseline", "bad.json", "--meteor-data", &data];
    let found = json_of(&succeed(&mut files.eval("good.json", "refs.json", &more)));
    assert_scores(&found, &[("METEOR", 0.3372550746391245)]);
    let baseline = found["scores"]["METEOR"]["baseline"].as_f64().unwrap();
    assert!((baseline - 0.18455086090873227).abs() < 1e-9, "{baseline}");

    let mut from_environment = files.eval("good.json", "refs.json", &[]);
    from_environment.env("FINECAP_METEOR_DATA", &data);
    let table = String::from_utf8(succeed(&mut from_environment).stdout).unwrap();
    assert!(table.contains("\nMETEOR         0.3373"), "{table}");

    let table = succeed(&mut files.eval("good.json", "refs.json", &[])).stdout;
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("METEOR      not available: give"), "{table}");
    let nowhere = ["--meteor-data", "nowhere"];
    refused(
        &mut files.eval("good.json", "refs.json", &nowhere),
        &["nowhere/meteor-1.5.jar", "data/paraphrase-en.gz"],
    );
}

#[test]
fn formats_may_differ_and_intervals_repeat() {
    let results = json!([
        {"image_id": 1, "caption": "a cat on a couch"},
        {"image_id": 2, "caption": "Two dogs."},
        {"image_id": 3, "caption": ""},
    ]);
    let karpathy = json!({"images": [
        {"filename": "one.jpg", "cocoid": 1, "split": "test", "sentences": [{"raw": "A cat, on a couch"}]},
        {"filename": "two.jpg", "cocoid": 2, "split": "test", "sentences": [{"raw": "two dogs"}]},
        {"filename": "three.jpg", "cocoid": 3, "split": "test", "sentences": [{"raw": "a bird"}]},
        {"filename": "four.jpg", "cocoid": 4, "split": "train", "sentences": [{"raw": "a bus"}]},
    ]});
    let files = Files::new().with("results.json", &results).with("karpathy.json", &karpathy);
    let run = || succeed(&mut files.eval("results.json", "karpathy.json", &["--split", "test"]));
    let output = run();
    assert_eq!(output.stdout, run().stdout);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("3 images") && table.contains("95 % interval"), "{table}");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("captions without words: 1, as that of `three.jpg`"), "{notes}");

    refused(&mut files.eval("results.json", "karpathy.json", &[]), &["`four.jpg`", "--split"]);
    let more = ["--allow-missing", "--json"];
    let output = succeed(&mut files.eval("results.json", "karpathy.json", &more));
    assert_eq!(json_of(&output)["count"], 3);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("3 of 4 images are scored"), "{notes}");
}

#[test]
fn what_does_not_fit_is_named() {
    let files = Files::new().with("refs.json", &references()).with("good.json", &good());
    let files = files.with("other.json", &json!({"image9": "a cat"}));
    let files = files.with("twice.json", &json!({"a/image1": "a cat", "b/image1": "a dog"}));
    let files = files.with("text.json", &json!("a cat"));
    refused(&mut files.eval("none.json", "refs.json", &[]), &["cannot read none.json"]);
    refused(
        &mut files.eval("text.json", "refs.json", &[]),
        &["text.json", "captions are read from"],
    );
    refused(&mut files.eval("other.json", "refs.json", &[]), &["`image9`", "--allow-missing"]);
    let more = ["--allow-missing"];
    refused(
        &mut files.eval("other.json", "refs.json", &more),
        &["other.json", "none of its images"],
    );
    refused(
        &mut files.eval("twice.json", "refs.json", &more),
        &["`image1` could be `a/image1` or `b/image1`"],
    );
    refused(&mut files.eval("good.json", "refs.json", &["--grammar", "nowhere"]), &["nowhere"]);
}

#[test]
fn a_single_image_is_scored_with_given_frequencies() {
    let karpathy = |split: &str| {
        let image = |i: usize, text: &str| json!({"filename": format!("{i}.jpg"), "split": split, "sentences": [{"raw": text}]});
        json!({"images": [image(1, "a red dog runs on grass"), image(2, "a blue cat sleeps at home")]})
    };
    let files = Files::new().with("train.json", &karpathy("train"));
    let files = files.with("refs.json", &json!({"1": "a red dog runs on grass"}));
    let files = files.with("caption.json", &json!({"1": "A red dog runs on grass."}));
    let mut prepare = finecap();
    prepare.current_dir(files.path()).args(["prepare", "--data", "train.json", "--out", "df"]);
    succeed(prepare.args(["--set", "captioner.count_threshold=0"]));

    let alone = succeed(&mut files.eval("caption.json", "refs.json", &["--json"]));
    assert_scores(&json_of(&alone), &[("CIDEr-D", 0.0), ("CIDEr", 0.0)]);
    assert!(String::from_utf8(alone.stderr).unwrap().contains("--frequencies"));
    let more = ["--json", "--frequencies", "df/cider.json", "--training", "train.json"];
    let found = json_of(&succeed(&mut files.eval("caption.json", "refs.json", &more)));
    assert_scores(&found, &[("CIDEr-D", 10.0), ("CIDEr", 10.0)]);
    assert_eq!(found["share_seen_in_training"], 1.0);
    let wrong = ["--frequencies", "refs.json"];
    refused(&mut files.eval("caption.json", "refs.json", &wrong), &["refs.json", "CIDEr table"]);
}

#[test]
fn pictures_are_seen_by_a_clip_model() {
    let fixture = |name: &str| {
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures").join(name)
    };
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(fixture(name)).unwrap()).unwrap()
    };
    let candidates = read("clipscore/candidates.json");
    let pairs = candidates.as_object().unwrap();
    let decoded: Vec<Value> = (pairs.iter())
        .map(
            |(image, caption)| json!({"image": image, "caption": caption, "decoding": {"beam": 3}}),
        )
        .collect();
    let files = Files::new().with("c.json", &json!(decoded)).with("plain.json", &candidates);
    let (references, clip) = (fixture("clipscore/references.json"), fixture("clipscore"));
    let (references, clip) = (references.to_str().unwrap(), clip.to_str().unwrap());
    let pictures = fixture("preprocess");
    let pictures = pictures.to_str().unwrap();
    let more = ["--images", pictures, "--clip", clip, "--json", "--baseline", "plain.json"];
    let found = json_of(&succeed(files.eval("c.json", references, &more).args(["--output", "o"])));
    assert_eq!(found["decoding"], json!({"beam": 3}));

    // Means and single values are those of the script that checks `finecap score`.
    let expected = read("clipscore/expected.json");
    let images =
        serde_json::from_str::<Value>(&fs::read_to_string(files.path().join("o")).unwrap())
            .unwrap();
    for (ours, theirs) in [("CLIP-S", "CLIPScore"), ("RefCLIP-S", "RefCLIPScore")] {
        let mut mean = 0.0;
        for (image, scores) in expected.as_object().unwrap() {
            let value = scores[theirs].as_f64().unwrap();
            let off = (images["images"][image][ours].as_f64().unwrap() - value).abs();
            assert!(off < 1e-5, "{image} {ours}");
            mean += value / 4.0;
        }
        let score = &found["scores"][ours];
        assert!((score["score"].as_f64().unwrap() - mean).abs() < 1e-5, "{ours}: {score}");
        assert_eq!(score["difference"], 0.0, "the same captions");
    }
    let recall = |k: &str| found["scores"][k]["score"].as_f64().unwrap();
    assert_eq!(recall("R@5"), 100.0, "there are four pictures");
    assert!(recall("R@1") <= recall("R@5"));

    let table = succeed(&mut files.eval("c.json", references, &more[..4]));
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("beam") && table.contains("RefCLIP-S"), "{table}");
    let lost = Files::new()
        .with("c.json", &json!({"no-such": "x"}))
        .with("r.json", &json!({"no-such": ["y"]}));
    refused(&mut lost.eval("c.json", "r.json", &more[..4]), &["`no-such`", "preprocess"]);
    let lonely = files.eval("c.json", references, &more[..2]).output().unwrap();
    assert_eq!(lonely.status.code(), Some(2));
}
