//! `finecap caption`: its ways of decoding, its outputs, and what bad input answers.

mod common;

use std::fs;
use std::process::Command;

use common::{World, fail, finecap, succeed};
use serde_json::Value;

/// `finecap caption` with the run called `run`.
fn caption(world: &World, arguments: &[&str]) -> Command {
    let mut command = finecap();
    command.current_dir(world.path("")).arg("caption").args(["--model", "run"]).args(arguments);
    command
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).unwrap()
}

fn json(command: &mut Command) -> Vec<Value> {
    serde_json::from_str(&stdout(command)).unwrap()
}

#[test]
fn ways_of_decoding() {
    let world = World::new();
    world.trained("run");
    let images = "data/images";

    // One beam is the default; programs get the same captions with more about them.
    let lines = stdout(&mut caption(&world, &[images]));
    assert_eq!(lines.lines().count(), 20);
    let greedy = json(&mut caption(&world, &[images, "--json"]));
    for (line, item) in lines.lines().zip(&greedy) {
        let (image, text) = line.split_once('\t').unwrap();
        assert_eq!((item["image"].as_str(), item["caption"].as_str()), (Some(image), Some(text)));
        assert!(item["score"].as_f64().unwrap() < 0.0);
        assert_eq!(item["decoding"]["beam"], 1);
        assert!(item["n_best"].is_null());
    }

    // More beams find captions that are at least as probable.
    let flags = ["--beam", "4", "--n-best", "3", "--block-trigrams", "--no-bad-endings"];
    let best = json(&mut caption(&world, &[&[images, "--json"], &flags[..4]].concat()));
    let sum = |items: &[Value]| items.iter().map(|i| i["score"].as_f64().unwrap()).sum::<f64>();
    assert!(sum(&best) >= sum(&greedy) - 1e-4);
    for item in &best {
        let several = item["n_best"].as_array().unwrap();
        assert_eq!((several.len(), &several[0]["caption"]), (3, &item["caption"]));
        let scores: Vec<f64> = several.iter().map(|s| s["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    }
    let three = stdout(&mut caption(&world, &[&[images], &flags[..4]].concat()));
    assert_eq!(three.lines().count(), 60);
    let ruled = json(&mut caption(&world, &[&[images, "--json"], &flags[..]].concat()));
    for item in &ruled {
        let words: Vec<&str> = item["caption"].as_str().unwrap().split(' ').collect();
        let trigrams: Vec<&[&str]> = words.windows(3).collect();
        let repeated = (1..trigrams.len()).any(|i| trigrams[..i].contains(&trigrams[i]));
        assert!(!repeated, "{words:?}");
        if item["ended"] == true {
            assert!(!["a", "an", "the", "of", "on"].contains(words.last().unwrap()), "{words:?}");
        }
    }

    // A picture's captions do not depend on what else is described.
    let one = "data/images/000007.png";
    let alone = json(&mut caption(&world, &[&[one, "--json"], &flags[..]].concat()));
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0]["caption"], ruled[7]["caption"]);

    // Samples follow the seed.
    let drawn = |seed: &str, more: &[&str]| {
        json(&mut caption(
            &world,
            &[&[images, "--json", "--samples", "3", "--seed", seed], more].concat(),
        ))
    };
    let (first, again, other) = (drawn("1", &[]), drawn("1", &[]), drawn("2", &[]));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first[0]["samples"].as_array().unwrap().len(), 3);
    let sharp = drawn("1", &["--temperature", "1e-9"]);
    for (sharp, greedy) in sharp.iter().zip(&greedy) {
        assert_eq!(sharp["caption"], greedy["caption"]);
    }
    for filter in [["--top-k", "1"], ["--top-p", "1e-9"]] {
        assert_eq!(drawn("5", &filter)[3]["caption"], greedy[3]["caption"]);
    }
}

#[test]
fn features_and_files() {
    let world = World::new();
    world.trained("run");

    // Features that were made before give what the pictures give.
    let pictures = json(&mut caption(&world, &["data/images", "--json"]));
    let features = json(&mut caption(&world, &["--features", "run/features", "--json"]));
    assert_eq!(features.len(), 20);
    for (a, b) in pictures.iter().zip(&features) {
        assert!(a["image"].as_str().unwrap().ends_with(b["image"].as_str().unwrap()));
        assert_eq!(a["caption"], b["caption"]);
    }
    let name = features[4]["image"].as_str().unwrap();
    let one = stdout(&mut caption(&world, &[name, "--features", "run/features"]));
    assert_eq!(one.trim_end(), format!("{name}\t{}", features[4]["caption"].as_str().unwrap()));

    // What cannot be read is named and counted; the file can be evaluated.
    fs::write(world.path("data/images/000003.png"), b"not a picture").unwrap();
    let arguments = ["data/images", "--beam", "2", "--n-best", "2", "--output", "captions.json"];
    let output = succeed(&mut caption(&world, &arguments));
    assert!(output.stdout.is_empty());
    let reported = String::from_utf8(output.stderr).unwrap();
    assert!(reported.contains("000003.png") && reported.contains("1 of 20 pictures"), "{reported}");
    let written = fs::read_to_string(world.path("captions.json")).unwrap();
    let written: Vec<Value> = serde_json::from_str(&written).unwrap();
    assert_eq!(written.len(), 19);
    let mut evaluate = finecap();
    evaluate.current_dir(world.path("")).args(["eval", "captions"]);
    evaluate.args(["--candidates", "captions.json", "--references", "data/dataset.json"]);
    evaluate.arg("--allow-missing");
    succeed(&mut evaluate);
    let leftovers = fs::read_dir(world.path("")).unwrap();
    let hidden = |name: &str| name.starts_with('.');
    assert!(!leftovers.map(|e| e.unwrap().file_name()).any(|n| hidden(&n.to_string_lossy())));
}

#[test]
fn bad_input_is_one_sentence() {
    let world = World::new();
    world.trained("run");
    succeed(&mut world.train("clip", "wide", &["--set", "clip.width=32"]));
    let image = "data/images/000001.png";
    for (arguments, expected) in [
        (&[image, "--beam", "0"][..], "`width` must be from 1"),
        (&[image, "--beam", "2", "--n-best", "3"], "`n_best` must be from 1 to the beam's width 2"),
        (&[image, "--n-best", "0"], "`n_best`"),
        (&[image, "--length-penalty", "NaN"], "`length_penalty`"),
        (&[image, "--max-len", "1000"], "`max_len`"),
        (&[image, "--samples", "0"], "`samples`"),
        (&[image, "--samples", "2", "--temperature", "0"], "`temperature`"),
        (&[image, "--samples", "2", "--top-p", "2"], "`top_p`"),
        (&[image, "--samples", "2", "--top-k", "0"], "`top_k`"),
        (&[image, "--clip", "wide/clip/model"], "features are 32 wide"),
        (&["--features", "nowhere"], "nowhere"),
        (&["no.png", "--features", "run/features"], "no.png"),
        (&["run"], "run: has no pictures in it"),
        (&[image, "--output", "no/such/folder.json"], "no/such/folder.json"),
    ] {
        let message = fail(&mut caption(&world, arguments));
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    let mut other = finecap();
    other.current_dir(world.path("")).args(["caption", image, "--model", "nothing"]);
    let message = fail(&mut other);
    assert!(message.contains("nothing") && message.contains("finecap train mle"), "{message}");

    // Nothing half-written.
    fs::write(world.path("broken.png"), b"not a picture").unwrap();
    let message = fail(&mut caption(&world, &["broken.png", "--output", "captions.json"]));
    assert!(message.contains("none of the"), "{message}");
    assert!(!world.path("captions.json").exists());
    assert!(!world.path(".captions.json.new").exists());

    // Options that contradict each other are refused with the usage.
    let output = caption(&world, &[image, "--samples", "2", "--beam", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("--samples") && message.contains("--beam"), "{message}");
}
