//! Runs that are stopped, met twice, damaged, moved and misnamed.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{World, fail, files, finecap, succeed};

/// Long enough to be met at work.
const LONG: [&str; 4] = ["--set", "clip.steps=400", "--set", "checkpoint.every=100"];

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() || fs::metadata(path).unwrap().len() == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "{} did not come", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn begin(world: &World, run: &str) -> Child {
    let mut command = world.train("clip", run, &LONG);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&world.path(run).join("clip/metrics.jsonl"));
    child
}

/// The log without times.
fn log(world: &World, run: &str) -> Vec<String> {
    let text = fs::read_to_string(world.path(run).join("clip/metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| key != "seconds");
        line.to_string()
    };
    text.lines().map(line).collect()
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    succeed(Command::new("kill").args([name, &child.id().to_string()]));
}

#[test]
#[cfg(unix)]
fn a_signal_ends_a_run_at_a_checkpoint_and_it_goes_on_to_the_same_end() {
    let world = World::new();
    succeed(&mut world.train("clip", "whole", &LONG));
    for (run, name, code) in [("int", "-INT", 130), ("term", "-TERM", 143)] {
        let child = begin(&world, run);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("stopped after") && said.contains("--resume"), "{said}");
        assert!(!said.contains("error"), "{said}");
        assert!(!world.path(run).join("clip/model").exists());
        succeed(&mut world.train("clip", run, &[&LONG[..], &["--resume"]].concat()));
        let model = |run: &str| files(&world.path(run).join("clip/model"));
        let contents = |run: &str| model(run).into_iter().map(|(_, c)| c).collect::<Vec<_>>();
        assert!(contents(run) == contents("whole"), "{run}: another model");
        assert_eq!(log(&world, run), log(&world, "whole"));
    }
}

#[test]
#[cfg(unix)]
fn a_run_is_written_by_one_process_at_a_time() {
    let world = World::new();
    let mut child = begin(&world, "run");
    let error = fail(&mut world.train("clip", "run", &[&LONG[..], &["--resume"]].concat()));
    assert!(error.contains(&format!("process {}", child.id())), "{error}");
    // A process that is gone holds nothing.
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(&mut world.train("clip", "run", &[&LONG[..], &["--resume"]].concat()));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let world = World::new();
    let every =
        ["--set", "clip.steps=6", "--set", "checkpoint.every=2", "--set", "checkpoint.keep=3"];
    succeed(&mut world.train("clip", "whole", &every));
    let model = |run: &str| fs::read(world.path(run).join("clip/model/model.safetensors")).unwrap();
    let resume = [&every[..], &["--resume"]].concat();
    for (run, file) in [("a", "model.bpk"), ("b", "optimizer.bpk"), ("c", "state.json")] {
        succeed(&mut world.train("clip", run, &every));
        let checkpoints = world.path(run).join("clip/checkpoints");
        let path = checkpoints.join("step-0000006").join(file);
        let mut bytes = fs::read(&path).unwrap();
        // The same length: only the content tells.
        let middle = bytes.len() / 2;
        bytes[middle..].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(&path, bytes).unwrap();
        let output = succeed(&mut world.train("clip", run, &resume));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("goes on after step 4"), "{said}");
        assert!(file == "state.json" || said.contains(file), "{said}");
        assert_eq!(model(run), model("whole"), "{file}");
        for step in ["2", "4", "6"] {
            let _ = fs::write(checkpoints.join(format!("step-000000{step}")).join(file), "");
        }
        let error = fail(&mut world.train("clip", run, &resume));
        assert!(error.contains(file) || error.contains("no checkpoint"), "{error}");
    }
}

/// A damaged checkpoint counts as none of those to keep.
#[test]
fn what_is_saved_before_a_damaged_checkpoint_stays() {
    let world = World::new();
    let keep = ["--set", "clip.steps=6", "--set", "checkpoint.every=2", "--set"];
    let keep = |count| [&keep[..], &[count]].concat();
    succeed(&mut world.train("clip", "run", &keep("checkpoint.keep=3")));
    let checkpoints = world.path("run/clip/checkpoints");
    for step in ["4", "6"] {
        fs::write(checkpoints.join(format!("step-000000{step}/model.bpk")), "").unwrap();
    }
    // No folder can be made where the last checkpoint's temporary one would be renamed to: the phase
    // ends after step 4.
    fs::remove_dir_all(checkpoints.join("step-0000006")).unwrap();
    let resume = [keep("checkpoint.keep=1"), vec!["--resume"]].concat();
    fs::write(checkpoints.join("step-0000006"), "").unwrap();
    let _ = world.train("clip", "run", &resume).output().unwrap();
    assert!(fs::metadata(checkpoints.join("step-0000004/model.bpk")).unwrap().len() > 0);
}

#[test]
fn a_moved_run_works_and_names_no_place() {
    let world = World::new();
    world.trained("runs/one");
    for (path, content) in files(&world.path("runs/one")) {
        let is_text = path
            .extension()
            .is_some_and(|e| ["json", "txt", "toml", "jsonl"].iter().any(|k| e == *k));
        let here = world.path("");
        let names = String::from_utf8_lossy(&content).contains(&*here.to_string_lossy());
        assert!(!(is_text && names), "{} names a place", path.display());
    }
    fs::rename(world.path("runs"), world.path("moved")).unwrap();
    let image = world.path("data/images/000003.png");
    let mut caption = finecap();
    caption.arg("caption").arg(&image).arg("--model").arg(world.path("moved/one"));
    succeed(&mut caption);
    succeed(
        finecap().arg("report").arg(world.path("moved/one")).arg("--out").arg(world.path("r.html")),
    );
    assert!(fs::read_to_string(world.path("r.html")).unwrap().contains("data:image"));
    succeed(finecap().args(["eval", "run"]).arg(world.path("moved/one")));
    succeed(&mut world.train("scst", "moved/one", &["--resume"]));
}

#[test]
fn resuming_compares_what_the_phase_needs_and_begins_nothing() {
    let world = World::new();
    let error = fail(&mut world.train("clip", "typo", &["--resume"]));
    assert!(error.contains("holds no run"), "{error}");
    assert!(!world.path("typo").exists());
    world.trained("run");
    succeed(&mut world.train("mle", "run", &["--resume", "--set", "scst.samples=3"]));
    let error = fail(&mut world.train("mle", "run", &["--resume", "--set", "mle.batch_size=3"]));
    assert!(error.contains("`mle.batch_size`"), "{error}");
    // A setting that came later has its default in older runs.
    let settings = world.path("run/mle/config.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let older: String =
        text.lines().filter(|l| !l.starts_with("clip_norm")).map(|l| format!("{l}\n")).collect();
    assert_ne!(older, text);
    fs::write(&settings, older).unwrap();
    succeed(&mut world.train("mle", "run", &["--resume"]));
}

#[test]
fn a_diverged_phase_leaves_no_model() {
    let world = World::new();
    let wild = [
        "--set",
        "clip.steps=1",
        "--set",
        "clip.clip_norm=0",
        "--set",
        "clip.schedule={ kind = \"constant\", lr = 1e38 }",
    ];
    let error = fail(&mut world.train("clip", "run", &wild));
    assert!(error.contains("not finite") && error.contains("learning rate"), "{error}");
    assert!(!world.path("run/clip/model").exists());
    assert!(!world.path("run/clip/checkpoints/step-0000001").exists());
}

#[test]
fn settings_that_no_machine_has_the_memory_for_are_refused_with_the_number() {
    let world = World::new();
    for (phase, setting) in [
        ("clip", "clip.width=2000000"),
        ("clip", "clip.batch_size=500000000"),
        ("mle", "captioner.d_model=4000000"),
        ("mle", "mle.batch_size=400000000"),
        ("scst", "scst.samples=400000000"),
    ] {
        if phase != "clip" && !world.path("run/clip/model").exists() {
            for phase in ["clip", "mle"] {
                succeed(&mut world.train(phase, "run", &[]));
            }
        }
        let run = if phase == "clip" { "big" } else { "run" };
        if phase == "mle" {
            let _ = fs::remove_dir_all(world.path("run/mle"));
        } else if phase == "scst" {
            succeed(&mut world.train("mle", "run", &[]));
        }
        let error = fail(&mut world.train(phase, run, &["--set", setting]));
        assert!(error.contains("GiB of memory") && error.contains("this machine has"), "{error}");
        assert!(!world.path(run).join(phase).join("config.toml").exists(), "{phase}");
    }
}
