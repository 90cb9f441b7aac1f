//! `finecap score` on pictures, against a Python script (`fixtures/clipscore.py`).

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{fail, finecap, succeed};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures").join(name)
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// `finecap score` with the tiny model on the pictures of the preprocessing fixtures.
fn score(candidates: &Path, output: &Path) -> Command {
    let mut command = finecap();
    command.arg("score").arg("--clip").arg(fixture("clipscore"));
    command.arg("--images").arg(fixture("preprocess"));
    command.arg("--candidates").arg(candidates).arg("--output").arg(output);
    command
}

#[test]
fn scores_are_those_of_the_python_script() {
    let dir = TempDir::new().unwrap();
    let output = dir.path().join("scores.json");
    let mut command = score(&fixture("clipscore/candidates.json"), &output);
    let printed = succeed(command.arg("--references").arg(fixture("clipscore/references.json")));
    let (found, expected) = (read(&output), read(&fixture("clipscore/expected.json")));
    assert_eq!(found.as_object().unwrap().len(), 4);
    let mut means = [0.0; 2];
    for (key, expected) in expected.as_object().unwrap() {
        for (mean, name) in means.iter_mut().zip(["CLIPScore", "RefCLIPScore"]) {
            let (found, expected) = (&found[key][name], expected[name].as_f64().unwrap());
            let off = (found.as_f64().unwrap() - expected).abs();
            assert!(off < 1e-5, "{key} {name}: {found}, not {expected}");
            *mean += expected / 4.0;
        }
        assert!(expected["CLIPScore"].as_f64().unwrap() > 0.05, "{key} shows nothing");
    }
    let printed = String::from_utf8(printed.stdout).unwrap();
    let lines = format!("CLIPScore: {:.4}\nRefCLIPScore: {:.4}\n", means[0], means[1]);
    assert_eq!(printed, lines);

    // Without references, with another prompt, and twice the weight.
    let mut command = score(&fixture("clipscore/candidates.json"), &output);
    succeed(command.args(["--weight", "5"]));
    let clip = |scores: &Value| scores["landscape"]["CLIPScore"].as_f64().unwrap();
    assert!((clip(&read(&output)) - 2.0 * clip(&expected)).abs() < 1e-4);
    assert!(read(&output)["landscape"]["RefCLIPScore"].is_null());
    let mut command = score(&fixture("clipscore/candidates.json"), &output);
    succeed(command.args(["--prompt", ""]));
    assert!((clip(&read(&output)) - clip(&expected)).abs() > 1e-4);
}

#[test]
fn several_captions_of_a_picture_are_a_list() {
    let dir = TempDir::new().unwrap();
    let (candidates, output) = (dir.path().join("c.json"), dir.path().join("s.json"));
    let captions = json!({
        "veiled": ["waves", "A photo with holes, seen through noise."],
        "landscape": "a wave of red squares",
    });
    fs::write(&candidates, captions.to_string()).unwrap();
    succeed(&mut score(&candidates, &output));
    let (found, expected) = (read(&output), read(&fixture("clipscore/expected.json")));
    let list = found["veiled"]["CLIPScore"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    for (found, expected) in [
        (&list[1], &expected["veiled"]["CLIPScore"]),
        (&found["landscape"]["CLIPScore"], &expected["landscape"]["CLIPScore"]),
    ] {
        assert!((found.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-5);
    }
}

#[test]
fn bad_input_is_named() {
    let dir = TempDir::new().unwrap();
    let (candidates, output) = (dir.path().join("c.json"), dir.path().join("s.json"));
    let refused = |captions: Value, more: &[&str]| {
        fs::write(&candidates, captions.to_string()).unwrap();
        let error = fail(score(&candidates, &output).args(more));
        assert!(!output.exists());
        error
    };
    let missing = refused(json!({"landscape": "x", "no-such": "y"}), &[]);
    assert!(missing.contains("`no-such`") && missing.contains("preprocess"), "{missing}");
    let several = refused(json!({"grey": "x"}), &[]);
    assert!(several.contains("`grey` could be `grey.jpg` or `grey.png`"), "{several}");
    assert!(refused(json!({}), &[]).contains("holds no captions"));
    assert!(refused(json!({"landscape": []}), &[]).contains("holds no captions"));
    let references = fixture("clipscore/references.json");
    let more = ["--references", references.to_str().unwrap()];
    let without = refused(json!({"steep": "x"}), &more);
    assert!(without.contains("references.json") && without.contains("`steep`"), "{without}");
    fs::write(dir.path().join("broken.png"), b"\x89PNG but no picture").unwrap();
    fs::write(&candidates, r#"{"broken": "x"}"#).unwrap();
    let mut command = finecap();
    command.arg("score").arg("--clip").arg(fixture("clipscore")).arg("--images").arg(dir.path());
    let broken = fail(command.arg("--candidates").arg(&candidates).arg("--output").arg(&output));
    assert!(broken.contains("broken.png") && broken.contains("damaged"), "{broken}");
    let mut bare = finecap();
    bare.arg("score").arg("--candidates").arg(&candidates).arg("--output").arg(&output);
    let bare = bare.output().unwrap();
    assert_eq!(bare.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bare.stderr).contains("--images"));
}
