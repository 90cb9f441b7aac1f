//! Grammar models, prepared tables and reports through the command.

mod common;

use std::fs;
use std::process::Command;

use common::{World, fail, finecap, succeed};
use serde_json::{Value, json};

const CAPTIONS: &str = "a dog runs on the grass\na cat sits on a mat\nthe dog sits on the mat\n\
                        a cat runs\nthe cat sits on the grass\na dog sits on a mat\n";

impl World {
    fn read(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    /// `finecap train grammar` on plain text.
    fn text_grammar(&self, run: &str, more: &[&str]) -> Command {
        fs::write(self.path("captions.txt"), CAPTIONS).unwrap();
        let mut command = finecap();
        command.args(["train", "grammar", "--captions"]).arg(self.path("captions.txt"));
        command.arg("--config").arg(self.path("tiny.toml")).arg("--out").arg(self.path(run));
        command.args(["--set", "grammar.contrastive_weight=0", "--set", "grammar.holdout=0.4"]);
        command.args(more);
        command
    }

    fn score(&self, run: &str, candidates: &Value) -> Command {
        fs::write(self.path("candidates.json"), candidates.to_string()).unwrap();
        let mut command = finecap();
        command.arg("score").arg("--grammar").arg(self.path(run));
        command.arg("--candidates").arg(self.path("candidates.json"));
        command.arg("--output").arg(self.path("scores.json"));
        command
    }
}

#[test]
fn a_grammar_model_of_text_scores_captions() {
    let world = World::new();
    let more = ["grammar.prefix_weight=1", "grammar.next_word_weight=0.5"];
    let more = more.into_iter().chain(["clip.token_embeddings=neighbours"]);
    let more: Vec<&str> = more.flat_map(|setting| ["--set", setting]).collect();
    succeed(&mut world.text_grammar("run", &more));
    let log = fs::read_to_string(world.path("run/grammar/metrics.jsonl")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let number = |key: &str| first[key].as_f64().unwrap();
    let sum = number("grammar_loss") + number("prefix_loss") + 0.5 * number("next_word_loss");
    assert!((number("loss") - sum).abs() < 1e-5, "{first}");
    let validation = world.read("run/grammar/validation.json");
    for key in ["accuracy", "precision", "recall", "f1"] {
        let value = validation[key].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{key}: {value}");
    }
    // Two of the six captions are held out.
    assert_eq!(validation["validation_images"], 2.0);

    let candidates = json!({"a": "a dog runs", "b": ["a a a", "a dog runs"], "c": [], "d": "", "e": "A dog runs."});
    succeed(&mut world.score("run", &candidates));
    let scores = world.read("scores.json");
    let keys: Vec<&String> = scores.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["a", "b", "c", "d", "e"]);
    assert_eq!(scores["a"], scores["b"][1], "the same caption has the same score");
    assert_eq!(scores["a"], scores["e"], "capitals and punctuation make no difference");
    assert_eq!(scores["c"], json!([]));
    for score in [&scores["a"], &scores["b"][0], &scores["d"]] {
        assert!((0.0..=1.0).contains(&score.as_f64().unwrap()), "{scores}");
    }

    // `eval` asks the head the same way.
    fs::write(world.path("one.json"), json!({"e": "A dog runs."}).to_string()).unwrap();
    let mut eval = finecap();
    eval.args(["eval", "captions", "--json", "--grammar"]).arg(world.path("run"));
    eval.arg("--candidates").arg(world.path("one.json"));
    eval.arg("--references").arg(world.path("one.json"));
    let evaluated: Value = serde_json::from_slice(&succeed(&mut eval).stdout).unwrap();
    let grammar = evaluated["scores"]["grammar"]["score"].as_f64().unwrap();
    assert!((grammar - scores["e"].as_f64().unwrap()).abs() < 1e-6, "{evaluated}");
}

#[test]
fn parts_of_a_batch_on_threads_train_the_same_model() {
    let world = World::new();
    let losses = |run: &str, threads: &str| -> Vec<f64> {
        let threads = format!("grammar.threads={threads}");
        succeed(&mut world.text_grammar(run, &["--set", &threads]));
        let log = fs::read_to_string(world.path(run).join("grammar/metrics.jsonl")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["loss"].as_f64()).collect()
    };
    let (one, two) = (losses("one", "1"), losses("two", "2"));
    assert_eq!(one.len(), 4);
    for (a, b) in one.iter().zip(&two) {
        assert!((a - b).abs() < 1e-5, "{one:?} {two:?}");
    }
}

#[test]
fn a_grammar_model_of_pictures_rewards() {
    let world = World::new();
    for phase in ["clip", "mle"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    let grammar = ["--set", "scst.reward.grammar=0.5"];
    let missing = fail(&mut world.train("scst", "run", &grammar));
    assert!(missing.contains("no grammar model") && missing.contains("train grammar"), "{missing}");
    succeed(&mut world.train("grammar", "run", &[]));
    let validation = world.read("run/grammar/validation.json");
    assert!(validation["text_to_image_r1"].is_number(), "{validation}");
    succeed(&mut world.train("scst", "run", &grammar));
    let log = fs::read_to_string(world.path("run/scst/metrics.jsonl")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let number = |key: &str| first[key].as_f64().unwrap();
    let sum = number("clip_s_mean") + 0.5 * number("cider_mean") + 0.5 * number("grammar_mean");
    assert!((number("reward") - sum).abs() < 1e-5, "{first}");

    // Held-out scores lie beside the models, and a report shows them side by side.
    let out = world.path("report.html");
    let report = |run: &str| {
        let mut command = finecap();
        command.arg("report").arg(world.path(run)).arg("--out").arg(&out);
        command
    };
    succeed(&mut report("run"));
    let page = fs::read_to_string(&out).unwrap();
    for expected in ["MLE", "clip_s + 0.5 grammar + 0.5 cider", "data:image/png;base64,", "<svg"] {
        assert!(page.contains(expected), "{expected}");
    }
    let evaluation = world.read("run/scst/evaluation.json");
    assert_eq!(evaluation["captions"].as_array().unwrap().len(), 4);
    assert!(evaluation["scores"]["grammar"].is_number(), "{evaluation}");
    // The same captioner from two folders is not two seeds.
    fs::create_dir(world.path("both")).unwrap();
    for copy in ["a", "b"] {
        fs::create_dir(world.path("both").join(copy)).unwrap();
        let to = world.path("both").join(copy).join("evaluation.json");
        fs::copy(world.path("run/mle/evaluation.json"), to).unwrap();
    }
    succeed(&mut report("both"));
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.contains("both/a)") && page.contains("both/b)"));

    fs::create_dir(world.path("empty")).unwrap();
    let message = fail(&mut report("empty"));
    assert!(message.contains("no evaluation.json"), "{message}");
}

#[test]
fn a_prepared_table_must_be_of_the_captioners_words() {
    let world = World::new();
    for phase in ["clip", "mle"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    let prepare = |out: &str, more: &[&str]| {
        let mut command = finecap();
        command.arg("prepare").arg("--data").arg(world.path("data/dataset.json"));
        command.arg("--config").arg(world.path("tiny.toml")).arg("--out").arg(world.path(out));
        command.args(more);
        succeed(&mut command);
        world.path(out).join("cider.json")
    };
    let scst = |run: &str, table: &std::path::Path| {
        let mle = world.path("run/mle/model");
        let clip = world.path("run/clip/model");
        let mut command = world.train("scst", run, &[]);
        command.arg("--cider").arg(table).arg("--start").arg(mle).arg("--clip").arg(clip);
        command
    };
    let own = prepare("own", &[]);
    succeed(&mut scst("prepared", &own));
    let reward = |run: &str| {
        let log = fs::read_to_string(world.path(run).join("scst/metrics.jsonl")).unwrap();
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        first["cider_mean"].clone()
    };
    // It holds what would have been counted anyway.
    succeed(&mut world.train("scst", "run", &[]));
    assert_eq!(reward("prepared"), reward("run"));

    let other = prepare("other", &["--set", "captioner.count_threshold=3"]);
    let message = fail(&mut scst("x", &other));
    assert!(message.contains("cider.json") && message.contains("vocabulary"), "{message}");
    assert!(!world.path("x/scst/model").exists());
}

#[test]
fn bad_input_is_one_sentence() {
    let world = World::new();
    let pictures = fail(&mut world.text_grammar("x", &["--set", "grammar.contrastive_weight=1"]));
    assert!(pictures.contains("grammar.contrastive_weight"), "{pictures}");
    let threads = ["--set", "grammar.threads=2"];
    let threads = fail(&mut world.train("grammar", "x", &threads));
    assert!(threads.contains("grammar.threads"), "{threads}");
    let weight = fail(&mut world.train("scst", "x", &["--set", "scst.reward.grammar=nan"]));
    assert!(weight.contains("scst.reward.grammar") && weight.contains("finite"), "{weight}");
    let phase =
        fail(finecap().args(["train", "mle", "--captions", "a.txt", "--out"]).arg(world.path("x")));
    assert!(phase.contains("--captions is for `train grammar`"), "{phase}");

    succeed(&mut world.text_grammar("run", &[]));
    let not_text = fail(&mut world.score("run", &json!({"a": 3})));
    assert!(not_text.contains("candidates.json") && not_text.contains("`a`"), "{not_text}");
    let nothing = fail(&mut world.score("run", &json!({})));
    assert!(nothing.contains("no captions"), "{nothing}");
    let no_model = fail(&mut world.score("data", &json!({"a": "b"})));
    assert!(no_model.contains("no grammar model"), "{no_model}");
    assert!(!world.path("scores.json").exists(), "nothing half-written");

    // A head of another width than the text tower's.
    let path = world.path("run/grammar/model/grammar.json");
    let mut file = world.read("run/grammar/model/grammar.json");
    file["head"]["width"] = json!(24);
    fs::write(&path, file.to_string()).unwrap();
    let width = fail(&mut world.score("run", &json!({"a": "b"})));
    assert!(width.contains("grammar.json") && width.contains("24"), "{width}");
}
