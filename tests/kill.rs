//! SIGKILL at random moments: what is then gone on with, or done again, ends as if nothing had happened.
//!
//! The short form is part of every test run; the long one is
//! `cargo test --release --test kill -- --ignored --nocapture`, and FINECAP_SEED gives other moments.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{World, files, finecap, succeed};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PHASES: [&str; 4] = ["clip", "mle", "grammar", "scst"];
const WORKS: [&str; 9] =
    ["clip", "mle", "grammar", "scst", "features", "convert", "embed", "score", "prepare"];

/// A dozen checkpoints, so that many moments are inside of one.
const SETTINGS: [&str; 10] = [
    "--set",
    "checkpoint.every=5",
    "--set",
    "clip.steps=60",
    "--set",
    "mle.steps=60",
    "--set",
    "grammar.steps=60",
    "--set",
    "scst.steps=60",
];

/// The work `name` with its results in the folder `dir`.
fn command(world: &World, name: &str, dir: &Path, resume: bool) -> Command {
    let (data, images) = (world.path("data/dataset.json"), world.path("data/images"));
    let clip = world.path("base/clip/model");
    let mut command = finecap();
    match name {
        "features" => {
            command.args(["features", "extract", "--clip"]).arg(clip);
            command
                .arg("--data")
                .arg(data)
                .arg("--images")
                .arg(images)
                .arg("--out")
                .arg(dir.join("f"));
        }
        "convert" => {
            command.arg("convert").arg(clip).arg(dir.join("converted"));
        }
        "embed" => {
            command.args(["embed", "image", "--clip"]).arg(clip).arg("--input").arg(images);
            command.arg("--output").arg(dir.join("e.npy"));
        }
        "score" => {
            command.args(["score", "--clip"]).arg(clip).arg("--images").arg(images);
            command.arg("--candidates").arg(data).arg("--output").arg(dir.join("s.json"));
        }
        "prepare" => {
            command.arg("prepare").arg("--data").arg(data).arg("--out").arg(dir.join("p"));
        }
        phase => {
            command.args(["train", phase]).arg("--data").arg(data).arg("--images").arg(images);
            command.arg("--config").arg(world.path("tiny.toml")).arg("--out").arg(dir);
            command.args(SETTINGS);
        }
    }
    if resume && (PHASES.contains(&name) || matches!(name, "embed" | "score")) {
        command.arg("--resume");
    }
    command
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// A folder to begin in: for a phase, the run as the phases before it have left it.
fn begin(world: &World, name: &str, dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    if let Some(place) = PHASES.iter().position(|phase| *phase == name) {
        for done in &PHASES[..place] {
            copy(&world.path("base").join(done), &dir.join(done));
        }
        if place > 1 {
            copy(&world.path("base/features"), &dir.join("features"));
        }
    }
}

/// Everything that the work leaves, without times, locks and checkpoints.
fn results(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut results = Vec::new();
    for (path, content) in files(dir) {
        let below = path.strip_prefix(dir).unwrap().to_path_buf();
        let name = below.to_string_lossy().into_owned();
        if name.contains("checkpoints") || name.ends_with(".lock") {
            continue;
        }
        let content = match name.ends_with("metrics.jsonl") {
            false => content,
            true => {
                let text = String::from_utf8(content).unwrap();
                let lines = text.lines().map(|line| {
                    let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
                    let timed = |key: &str| key == "seconds" || key == "images_per_second";
                    line.as_object_mut().unwrap().retain(|key, _| !timed(key));
                    format!("{line}\n")
                });
                lines.collect::<String>().into_bytes()
            }
        };
        results.push((below, content));
    }
    results
}

/// Kills the works in turn, until `kills` were met at work.
fn kill(kills: usize) {
    let seed = std::env::var("FINECAP_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let world = World::new();
    for phase in PHASES {
        succeed(&mut command(&world, phase, &world.path("base"), false));
    }
    // What each work leaves when nothing happens to it, and how long it takes.
    let mut whole = Vec::new();
    for name in WORKS {
        let dir = world.path(&format!("whole-{name}"));
        begin(&world, name, &dir);
        let started = Instant::now();
        succeed(&mut command(&world, name, &dir, false));
        whole.push((results(&dir), started.elapsed()));
    }
    let (mut early, mut met) = (0, 0);
    while met < kills {
        let kill = early + met;
        let work = (met + seed as usize) % WORKS.len();
        let name = WORKS[work];
        let (expected, took) = &mut whole[work];
        let dir = world.path(&format!("killed-{kill}"));
        begin(&world, name, &dir);
        let after = took.mul_f64(random.random_range(0.0..1.0));
        let mut child = command(&world, name, &dir, false);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        let ended = child.try_wait().unwrap().is_some();
        let _ = child.kill();
        child.wait().unwrap();
        println!("{kill}: {name} killed after {after:.3?} of {took:.3?}");
        match ended {
            // The machine is faster than it was: what had ended counts for nothing.
            true => {
                early += 1;
                *took = took.mul_f64(0.8);
            }
            false => met += 1,
        }
        // A run that has not begun can't be gone on with; what is there is whole.
        let resume = name != "clip" || dir.join("clip/config.toml").exists();
        if !(name == "convert" && dir.join("converted").exists()) {
            succeed(&mut command(&world, name, &dir, resume));
        }
        let found = results(&dir);
        let names = |results: &[(PathBuf, Vec<u8>)]| -> Vec<PathBuf> {
            results.iter().map(|(path, _)| path.clone()).collect()
        };
        assert_eq!(names(&found), names(expected), "{name} after {after:?}");
        for ((path, found), (_, expected)) in found.iter().zip(&*expected) {
            assert!(found == expected, "{name} after {after:?}: {} differs", path.display());
        }
        fs::remove_dir_all(&dir).unwrap();
    }
    println!("{met} kills with seed {seed}, {early} more after the end; all ended the same");
}

#[test]
fn eight_kills_leave_no_trace() {
    kill(8);
}

#[test]
#[ignore = "the long form: 100 kills, some minutes"]
fn a_hundred_kills_leave_no_trace() {
    kill(100);
}
