//! A run that is killed and resumed ends with the same bits as one that was not.

mod common;

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{World, files, succeed};

#[test]
fn kill_and_resume_is_bit_exact_in_every_phase() {
    let world = World::new();
    for phase in ["clip", "mle", "grammar", "scst"] {
        let steps = format!("{phase}.steps=120");
        let settings = ["--set", &steps, "--set", "checkpoint.every=10"];
        succeed(&mut world.train(phase, "whole", &settings));

        let mut child = world.train(phase, "killed", &settings).spawn().unwrap();
        let checkpoint = world.path(&format!("killed/{phase}/checkpoints/step-0000010"));
        let started = Instant::now();
        while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint in {phase}");
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let finished = world.path(&format!("killed/{phase}/model")).exists();
        assert!(!finished, "{phase} was over before it could be killed");

        let resumed: Vec<&str> = settings.into_iter().chain(["--resume"]).collect();
        succeed(&mut world.train(phase, "killed", &resumed));
        let whole = files(&world.path(&format!("whole/{phase}/model")));
        let killed = files(&world.path(&format!("killed/{phase}/model")));
        assert!(!whole.is_empty());
        assert_eq!(whole.len(), killed.len());
        for ((path, a), (_, b)) in whole.iter().zip(&killed) {
            assert!(a == b, "{} differs", path.display());
        }
        // The log has every step exactly once.
        let log = std::fs::read_to_string(world.path(&format!("killed/{phase}/metrics.jsonl")));
        let log = log.unwrap();
        let steps: Vec<u64> = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| line["step"].as_u64())
            .collect();
        assert_eq!(steps, (1..=120).collect::<Vec<u64>>(), "{phase}");
        // The newest two checkpoints and the best are kept, and nothing temporary.
        let kept = std::fs::read_dir(world.path(&format!("killed/{phase}/checkpoints")));
        let kept = kept.unwrap().count();
        assert!((2..=3).contains(&kept), "{phase} keeps {kept} checkpoints");
    }
}
