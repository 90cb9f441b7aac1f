//! `finecap eval retrieval`, through the command.

mod common;

use std::path::Path;
use std::process::Command;

use common::{fail, finecap, succeed};
use finecap::train::write_npy;
use serde_json::{Value, json};

fn write(path: &Path, rows: &[[f32; 2]]) {
    write_npy(path, rows.len(), &[2], rows.concat()).unwrap();
}

fn eval(dir: &Path, texts: &str) -> Command {
    let mut command = finecap();
    command.current_dir(dir).args(["eval", "retrieval", "--images", "i.npy", "--texts", texts]);
    command
}

#[test]
fn embeddings_find_each_other_and_ties_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // Lengths do not matter. Both texts of the second image lie nearer to the first.
    write(&dir.join("i.npy"), &[[2.0, 0.0], [0.0, 1.0]]);
    write(&dir.join("t.npy"), &[[3.0, 0.0], [1.0, 0.5], [0.9, 0.1], [0.5, 0.4]]);
    let output = succeed(eval(dir, "t.npy").arg("--json"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fair = &found["ties"]["fair"];
    assert_eq!((&found["images"], &found["texts"]), (&json!(2), &json!(4)));
    assert_eq!(fair["text_to_image"]["R@1"], 50.0);
    assert_eq!(fair["text_to_image"]["mean_rank"], 1.5);
    assert_eq!(fair["image_to_text"]["R@1"], 100.0);
    let table = String::from_utf8(succeed(&mut eval(dir, "t.npy")).stdout).unwrap();
    assert!(table.starts_with("2 images, 4 texts"), "{table}");

    // All texts alike: by the reference's rule the last text wins, fairly nobody does.
    write(&dir.join("same.npy"), &[[1.0, 1.0]; 2]);
    let output = succeed(eval(dir, "same.npy").arg("--json"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let recall = |rule: &str| found["ties"][rule]["image_to_text"]["R@1"].as_f64().unwrap();
    assert_eq!((recall("fair"), recall("reference")), (0.0, 50.0));
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(&dir.join("i.npy"), &[[2.0, 0.0], [0.0, 1.0]]);
    write(&dir.join("three.npy"), &[[1.0, 0.0]; 3]);
    write(&dir.join("zero.npy"), &[[1.0, 0.0], [0.0, 0.0]]);
    assert!(fail(&mut eval(dir, "three.npy")).contains("three.npy has 3 rows"));
    assert!(fail(&mut eval(dir, "zero.npy")).contains("row 1 has no direction"));
    assert!(fail(&mut eval(dir, "none.npy")).contains("none.npy"));
}

#[test]
fn captions_and_pictures_are_embedded_on_the_way() {
    let fixtures = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures");
    let (clip, pictures) = (fixtures.join("clipscore"), fixtures.join("preprocess"));
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let captions = json!({"grey-2": "noise", "landscape": "a wave of red squares", "veiled": ""});
    std::fs::write(dir.join("c.json"), captions.to_string()).unwrap();
    std::fs::write(dir.join("c.txt"), "noise\na wave of red squares\n\n").unwrap();
    let command = |words: &[&str]| {
        let mut command = finecap();
        command.current_dir(dir).args(words).arg("--clip").arg(&clip);
        command
    };
    succeed(&mut command(&["embed", "text", "--input", "c.txt", "--output", "t.npy"]));
    let mut image = command(&["embed", "image", "--output", "i.npy"]);
    succeed(image.arg("--input").args(
        ["grey-2", "landscape", "veiled"].map(|name| pictures.join(name).with_extension("png")),
    ));
    let expected = succeed(eval(dir, "t.npy").arg("--json")).stdout;
    let mut direct = command(&["eval", "retrieval", "--candidates", "c.json", "--json"]);
    assert_eq!(succeed(direct.arg("--images").arg(&pictures)).stdout, expected);

    let mut lost = command(&["eval", "retrieval", "--candidates", "c.json"]);
    assert!(fail(lost.arg("--images").arg(dir)).contains("`grey-2`"));
}
