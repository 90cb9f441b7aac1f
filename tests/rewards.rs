//! Grammar models, prepared tables and reports through the command.

mod common;

use std::fs;
use std::process::Command;

use burn::tensor::Device;
use common::{World, fail, finecap, succeed};
use finecap::clip::{ClipPipeline, load_image, normalize};
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

    /// What the first step of SCST logged.
    fn first_step(&self, run: &str) -> Value {
        let log = fs::read_to_string(self.path(run).join("scst/metrics.jsonl")).unwrap();
        serde_json::from_str(log.lines().next().unwrap()).unwrap()
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
fn what_could_not_be_broken_as_drawn_is_counted() {
    let world = World::new();
    let mut command = world.text_grammar("run", &["--set", "grammar.steps=20"]);
    fs::write(world.path("captions.txt"), "dog\ncat\nman\ngrass\nmat\nball\n").unwrap();
    succeed(&mut command);
    let log = fs::read_to_string(world.path("run/grammar/metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = lines.filter(|line| line["step"].is_number()).collect();
    assert_eq!(steps.len(), 20);
    let sum = |key: &str| steps.iter().map(|line| line[key].as_f64().unwrap()).sum::<f64>();
    // One word can't be shuffled: a fifth of the captions needs another kind, after 8 draws.
    assert!(sum("negative_fallbacks") > 0.0, "{log}");
    assert!(sum("negative_redraws") >= 8.0 * sum("negative_fallbacks"), "{log}");
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
    for direction in ["text_to_image", "image_to_text"] {
        for k in [1, 5, 10] {
            assert!(validation[format!("{direction}_r{k}")].is_number(), "{validation}");
        }
    }
    // Pictures are seen as before; captions, and the scale of their cosines, are not.
    let device = Device::flex();
    let [before, after] = ["clip", "grammar"]
        .map(|phase| ClipPipeline::load(&world.path(&format!("run/{phase}/model")), &device))
        .map(Result::unwrap);
    let picture = [load_image(&world.path("data/images/000000.png")).unwrap()];
    let seen = |of: &ClipPipeline| of.embed_images(&picture, &device).unwrap().embedding;
    assert!(seen(&before).into_data() == seen(&after).into_data());
    let read = |of: &ClipPipeline| of.embed_texts(&["a red star"], &device).unwrap();
    assert!(read(&before).into_data() != read(&after).into_data());
    assert!(before.model.logit_scale().into_data() != after.model.logit_scale().into_data());

    succeed(&mut world.train("scst", "run", &grammar));
    let first = world.first_step("run");
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
    for expected in [
        "MLE",
        "clip_s + 0.5 grammar + 0.5 cider",
        "data:image/png;base64,",
        "<svg",
        "95 % intervals",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    let evaluation = world.read("run/scst/evaluation.json");
    assert_eq!(evaluation["captions"].as_array().unwrap().len(), 4);
    assert!(evaluation["scores"]["grammar"].is_number(), "{evaluation}");
    // The same captions by coco-caption's words, with intervals.
    let mut eval = finecap();
    eval.env_remove("FINECAP_METEOR_DATA").args(["eval", "run", "--json"]).arg(world.path("run"));
    let scored = succeed(&mut eval);
    let scored: Value = serde_json::from_slice(&scored.stdout).unwrap();
    let scored = &scored[world.path("run/scst").display().to_string()];
    assert_eq!((&scored["count"], &scored["decoding"]), (&json!(4), &json!("greedy")));
    for (ours, noted) in [("CLIP-S", "clip_s"), ("RefCLIP-S", "ref_clip_s"), ("R@1", "r1")] {
        let score = &scored["scores"][ours];
        let value = score["score"].as_f64().unwrap();
        let noted = evaluation["scores"][noted].as_f64().unwrap();
        assert!((value - noted).abs() < 1e-6, "{ours}: {value}, not {noted}");
        let bound = |i: usize| score["interval"][i].as_f64().unwrap();
        assert!(bound(0) <= value + 1e-9 && value <= bound(1) + 1e-9, "{score}");
    }
    assert!(scored["scores"]["grammar"]["score"].is_number());
    let mut nothing = finecap();
    nothing.args(["eval", "run"]).arg(world.path("data"));
    assert!(fail(&mut nothing).contains("no evaluation.json"));

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
fn validation_retrieves_pictures_by_captions_and_captions_by_pictures() {
    let world = World::new();
    // One caption each, so that none is drawn, and more pictures to find.
    let mut data = world.read("data/dataset.json");
    for (i, image) in data["images"].as_array_mut().unwrap().iter_mut().enumerate() {
        image["split"] = json!(if i < 8 { "train" } else { "val" });
        image["sentences"] = json!([{ "raw": image["alt_texts"][0] }]);
    }
    fs::write(world.path("data/dataset.json"), data.to_string()).unwrap();
    for phase in ["clip", "grammar"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    let device = Device::flex();
    let tuned = ClipPipeline::load(&world.path("run/grammar/model"), &device).unwrap();
    let images = &data["images"].as_array().unwrap()[8..];
    let of = |image: &Value| world.path("data/images").join(image["filename"].as_str().unwrap());
    let pictures: Vec<_> = images.iter().map(|image| load_image(&of(image)).unwrap()).collect();
    let texts: Vec<&str> = images.iter().map(|i| i["alt_texts"][0].as_str().unwrap()).collect();
    let text = normalize(tuned.embed_texts(&texts, &device).unwrap());
    let picture = normalize(tuned.embed_images(&pictures, &device).unwrap().embedding);
    let cosines: Vec<f32> = text.matmul(picture.transpose()).into_data().iter::<f32>().collect();

    let validation = world.read("run/grammar/validation.json");
    let n = images.len();
    for (direction, row, column) in [("text_to_image", n, 1), ("image_to_text", 1, n)] {
        let rank = |own: usize| {
            let cosine = |other: usize| cosines[own * row + other * column];
            1 + (0..n).filter(|&other| cosine(other) > cosine(own)).count()
        };
        for k in [1, 5, 10] {
            let found = (0..n).filter(|&own| rank(own) <= k).count();
            let expected = 100.0 * found as f64 / n as f64;
            let logged = validation[format!("{direction}_r{k}")].as_f64().unwrap();
            assert!((logged - expected).abs() < 1e-9, "{direction} {k}: {validation}");
        }
    }
}

#[test]
fn prompts_and_towers_of_the_grammar_model_are_settings() {
    let world = World::new();
    for phase in ["clip", "mle", "grammar"] {
        succeed(&mut world.train(phase, "run", &[]));
    }
    succeed(&mut world.text_grammar("text", &[]));
    let scst = |out: &str, grammar: &str, settings: &[&str]| {
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let mut command = world.train("scst", out, &["--set", "scst.reward.grammar=1.0"]);
        for (option, dir) in [("--clip", "clip"), ("--start", "mle")] {
            command.arg(option).arg(world.path("run").join(dir).join("model"));
        }
        // The model's folder or that of the run.
        command.arg("--grammar").arg(world.path(grammar)).args(settings);
        command
    };
    // The same captions are sampled in each first step.
    succeed(&mut scst("default", "run", &[]));
    succeed(&mut scst("same", "run", &["scst.reward.grammar_prompt="]));
    succeed(&mut scst("prompted", "run", &["scst.reward.grammar_prompt=a small red"]));
    succeed(&mut scst("tower", "run", &["scst.reward.tower=grammar"]));
    let [default, same, prompted, tower] =
        ["default", "same", "prompted", "tower"].map(|run| world.first_step(run));
    assert_eq!(default["grammar_mean"], same["grammar_mean"]);
    assert_ne!(default["grammar_mean"], prompted["grammar_mean"]);
    assert_eq!(default["clip_s_mean"], prompted["clip_s_mean"]);
    assert_eq!(default["grammar_mean"], tower["grammar_mean"]);
    assert_ne!(default["clip_s_mean"], tower["clip_s_mean"]);

    // A head of text alone says what a sentence is, but has never seen these pictures.
    succeed(&mut scst("words", "text/grammar/model", &[]));
    let message = fail(&mut scst("x", "text", &["scst.reward.tower=grammar"]));
    assert!(message.contains("scst.reward.tower"), "{message}");
    assert!(!world.path("x").join("scst").exists(), "nothing half-written");
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
    fs::create_dir(world.path("own")).unwrap();
    fs::write(world.path("own/notes.txt"), "mine").unwrap();
    let own = prepare("own", &[]);
    let entries = fs::read_dir(world.path("own")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cider.json", "notes.txt", "vocab.json"], "what was there stays");
    succeed(&mut scst("prepared", &own));
    let reward = |run: &str| world.first_step(run)["cider_mean"].clone();
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
    let mut missing = world.text_grammar("x", &[]);
    fs::remove_file(world.path("captions.txt")).unwrap();
    let missing = fail(&mut missing);
    assert_eq!(missing.matches("os error").count(), 1, "{missing}");
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
