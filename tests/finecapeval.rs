//! `finecap eval finecap`, through the command.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{fail, finecap, succeed};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    root.join("fixtures/finecapeval").join(name)
}

fn eval(candidates: &str) -> Command {
    let mut command = finecap();
    command.args(["eval", "finecap", "--candidates", candidates, "--data"]);
    command.arg(fixture("finecapeval.csv"));
    command
}

fn read(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The numbers are those of the released rules in Python, and pycocoevalcap's.
#[test]
fn every_number_is_that_of_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("all.json");
    let predictions = fixture("predictions.json");
    let mut command = eval(predictions.to_str().unwrap());
    let printed = succeed(command.arg("--json").arg("--output").arg(&output));
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!((&printed["count"], &printed["rows_left_out"]), (&json!(8), &json!(2)));
    let (found, expected) = (read(output), read(fixture("finecapeval.json")));
    let close = |found: &Value, expected: &Value| {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-9, "{found} and {expected}");
    };
    close(&printed["scores"]["overall"]["CIDEr-D"]["score"], &expected["overall"]["corpus"]);
    for (image, score) in expected["overall"]["images"].as_object().unwrap() {
        close(&found["images"][format!("{image}.jpg")]["overall"]["CIDEr-D"], score);
    }
    for mode in ["reference", "strict"] {
        for criterion in ["background", "object", "relation"] {
            let corpus = &expected[mode]["corpus"][criterion];
            close(&printed["scores"][criterion][mode]["score"], corpus);
            for (image, scores) in expected[mode]["images"].as_object().unwrap() {
                let own = &found["images"][format!("{image}.jpg")];
                close(&own[criterion][mode], &scores[criterion]);
            }
        }
    }
    let table = succeed(&mut eval(predictions.to_str().unwrap())).stdout;
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("8 images, 2 rows left out"), "{table}");
    assert!(table.contains("object      strict       0.2098"), "{table}");
}

#[test]
fn what_does_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.json");
    let write = |content: Value| fs::write(&path, content.to_string()).unwrap();
    let name = path.to_str().unwrap();
    write(json!({"kitchen_01.jpg": "a dog"}));
    let absent = fail(&mut eval(name));
    assert!(absent.contains("(7 in all) has no caption"), "{absent}");
    let note = succeed(eval(name).arg("--allow-missing")).stderr;
    assert!(String::from_utf8(note).unwrap().contains("1 of 8 images are scored"));
    write(json!({"nowhere": "a dog"}));
    assert!(fail(&mut eval(name)).contains("image `nowhere`"));
    assert!(fail(eval(name).arg("--allow-missing")).contains("none of its images"));
    write(json!({"kitchen_01": "a dog", "x/kitchen_01.jpg": "a cat"}));
    assert!(fail(&mut eval(name)).contains("`kitchen_01.jpg` could be"));
    let other_table = dir.path().join("other.csv");
    fs::write(&other_table, "picture,caption\n1.jpg,a dog\n").unwrap();
    let mut other = finecap();
    other.args(["eval", "finecap", "--candidates", name, "--data"]).arg(&other_table);
    assert!(fail(&mut other).contains("no column `image`"));
}
