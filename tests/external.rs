//! Rewards and metrics of other programs, through the command.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{World, fail, finecap, succeed};
use serde_json::Value;

/// Scores every caption with the number of its question.
const COUNTS: &str = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*}; echo "{\"id\": $id, \"score\": $((id % 7))}"; done"#;

fn program() -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("examples/external_reward.py")
}

/// SCST with a program as its only reward.
fn scst(world: &World, run: &str, script: &str, more: &[&str]) -> Command {
    let path = world.path("reward.sh");
    fs::write(&path, script).unwrap();
    let setting = format!(
        "scst.reward.external=[{{ name = \"theirs\", command = [\"sh\", {:?}], timeout_s = 20 }}]",
        path.display().to_string()
    );
    world.train(
        "scst",
        run,
        &[
            &[
                "--set",
                &setting,
                "--set",
                "scst.reward.clip_s=0.0",
                "--set",
                "scst.reward.cider=0.0",
            ],
            more,
        ]
        .concat(),
    )
}

fn log(world: &World, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(world.path(run).join("scst/metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line.get("step").is_some()).collect()
}

#[test]
#[cfg(unix)]
fn a_program_rewards_captions_and_its_failure_keeps_what_was_trained() {
    let world = World::new();
    for phase in ["clip", "mle"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    succeed(&mut scst(&world, "run", COUNTS, &[]));
    let steps = log(&world, "run");
    assert_eq!(steps.len(), 4);
    assert!(steps.iter().all(|step| step["theirs_mean"].as_f64().unwrap() > 0.0));
    let evaluation = fs::read_to_string(world.path("run/scst/evaluation.json")).unwrap();
    assert!(evaluation.contains("\"theirs\""), "the name of the run's reward");

    // A score that is none in the third step: four images, a greedy caption and three samples of each.
    fs::remove_dir_all(world.path("run/scst")).unwrap();
    let nan = COUNTS.replace(
        "\"score\\\": $((id % 7))",
        "\"score\\\": $(if [ $id -ge 36 ]; then echo NaN; else echo $((id % 7)); fi)",
    );
    assert_ne!(nan, COUNTS);
    let error = fail(&mut scst(&world, "run", &nan, &["--set", "checkpoint.every=4"]));
    assert!(error.contains("`theirs`") && error.contains("NaN"), "{error}");
    assert_eq!(log(&world, "run").len(), 2);
    assert!(world.path("run/scst/checkpoints/step-0000002").exists(), "nothing was kept");
    succeed(&mut scst(&world, "run", COUNTS, &["--set", "checkpoint.every=4", "--resume"]));
    assert_eq!(log(&world, "run").len(), 4);

    fs::remove_dir_all(world.path("run/scst")).unwrap();
    let error = fail(&mut scst(&world, "run", "echo 'no such model' >&2; exit 1", &[]));
    assert!(error.contains("no such model") && error.contains("ended"), "{error}");
}

#[test]
#[ignore = "needs python3; .ci/run runs it"]
fn the_python_example_is_a_metric() {
    let dir = tempfile::tempdir().unwrap();
    let (candidates, references) = (dir.path().join("c.json"), dir.path().join("r.json"));
    fs::write(&candidates, r#"{"1": "a dog and a dog", "2": "a red cat"}"#).unwrap();
    fs::write(&references, r#"{"1": ["two dogs"], "2": ["a cat", "a red cat"]}"#).unwrap();
    let mut command = finecap();
    command.args(["eval", "captions", "--json", "--candidates"]).arg(&candidates);
    command.arg("--references").arg(&references);
    command.arg("--external").arg(format!("variety=python3 {}", program().display()));
    let output = succeed(&mut command).stdout;
    let whole: Value = serde_json::from_slice(&output).unwrap();
    // Three words of five and two that are repeated; three of three.
    let expected = ((3.0 - 0.5 * 2.0) + 3.0) / 2.0;
    let text = whole.to_string();
    assert!(text.contains("variety") && text.contains(&expected.to_string()), "{text}");
}

#[test]
fn wrong_columns_of_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.json");
    fs::write(&file, r#"{"1": "a dog"}"#).unwrap();
    for (external, expected) in
        [("mine", "NAME=COMMAND"), ("=x", "NAME=COMMAND"), ("a=b 'c d'", "list of words")]
    {
        let output = finecap()
            .args(["eval", "captions", "--external", external, "--candidates"])
            .arg(&file)
            .arg("--references")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{said}");
    }
}
