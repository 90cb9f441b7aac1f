//! `finecap eval retrieval`, through the command.

mod common;

use std::path::Path;
use std::process::Command;

use common::{fail, finecap, succeed};
use finecap::train::NpyWriter;
use serde_json::{Value, json};

fn write(path: &Path, rows: &[[f32; 2]]) {
    let mut file = NpyWriter::create(path, &[2]).unwrap();
    file.write_rows(&rows.concat()).unwrap();
    file.finish().unwrap();
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
