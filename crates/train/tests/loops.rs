//! The training loops, on a handful of scenes: what a library user relies on.

use std::path::Path;

use burn::tensor::Device;
use finecap_clip::ClipPipeline;
use finecap_reward::{Candidate, Reward, RewardError, Term, WeightedSum};
use finecap_scenes::{ScenesConfig, generate};
use finecap_train::{
    Config, Dataset, FeatureStore, Job, Resume, Split, fresh_captioner, train_clip, train_grammar,
    train_mle, train_scst,
};

/// Settings that train in a second.
fn config(settings: &[&str]) -> Config {
    let tiny = [
        "clip.steps=1",
        "clip.batch_size=4",
        "clip.width=16",
        "clip.layers=1",
        "clip.heads=2",
        "clip.embed_dim=8",
        "captioner.d_model=16",
        "captioner.d_ff=16",
        "captioner.n_heads=2",
        "captioner.n_encoder_layers=1",
        "captioner.n_decoder_layers=1",
        "mle.steps=2",
        "mle.batch_size=4",
        "grammar.steps=1",
        "grammar.batch_size=4",
        "scst.steps=2",
        "scst.batch_size=4",
        "scst.samples=2",
        "checkpoint.every=1",
    ];
    let all: Vec<String> = tiny.iter().chain(settings).map(|s| s.to_string()).collect();
    Config::read(None, &all).unwrap()
}

fn scenes() -> Dataset {
    let sizes = ScenesConfig { train: 12, val: 3, test: 3, ..ScenesConfig::default() };
    Dataset::scenes(&generate(&sizes).unwrap(), sizes.image_size)
}

/// A CLIP of one step and the features it makes.
fn seen(job: &Job) -> (ClipPipeline, FeatureStore) {
    let clip = train_clip(job, None).unwrap();
    let dir = job.run.join("features");
    let features = FeatureStore::open_or_build(&dir, job.dataset, &clip, job.device).unwrap();
    (clip, features)
}

/// Scores a caption by its number of words, or by whatever `score` says of that.
struct Words<F>(F);

impl<F: FnMut(usize) -> Result<f32, RewardError> + Send> Reward for Words<F> {
    fn name(&self) -> &str {
        "words"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        candidates.iter().map(|c| (self.0)(c.text.split_whitespace().count())).collect()
    }
}

fn words() -> WeightedSum {
    WeightedSum::new(vec![Term::new(1.0, Words(|words| Ok(words as f32)))]).unwrap()
}

/// The numbers that validation logged.
fn validated(run: &Path, phase: &str) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(run.join(phase).join("metrics.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line.get("validation_step").is_some()).collect()
}

#[test]
fn scst_decodes_with_the_limit_of_the_captioner_it_starts_from() {
    let (dir, device, dataset) = (tempfile::tempdir().unwrap(), Device::flex(), scenes());
    // Trained just enough that captions do not end at once.
    let lr = r#"mle.schedule={ kind = "constant", lr = 0.01 }"#;
    let short = config(&["captioner.max_len=5", "mle.steps=40", "checkpoint.every=40", lr]);
    let job = Job::new(dir.path(), &short, &dataset, &device);
    let (_, features) = seen(&job);
    let start = train_mle(&job, &features, fresh_captioner(&job, &features).unwrap()).unwrap();
    // Another limit in the settings, above and below the captioner's.
    for limit in ["captioner.max_len=9", "captioner.max_len=1"] {
        let dir = dir.path().join(limit);
        let config = config(&[limit]);
        let job = Job { run: &dir, config: &config, ..job };
        let model = train_scst(&job, &features, &mut words(), start.clone()).unwrap();
        assert_eq!(model.model.config().max_len, 5);
        // The reward counts words, so both numbers are of the same captions.
        let numbers = validated(&dir, "scst");
        assert_eq!(numbers.len(), 2);
        assert!(numbers.iter().all(|line| line["reward"] == line["caption_length"]));
        assert!(numbers[0]["caption_length"].as_f64().unwrap() > 1.0, "{numbers:?}");
    }
}

#[test]
fn noams_width_is_that_of_the_model_that_is_trained() {
    let (dir, device, dataset) = (tempfile::tempdir().unwrap(), Device::flex(), scenes());
    let noam = r#"{ kind = "noam", factor = 1.0, warmup = 10 }"#;
    let [clip, scst] = ["clip", "scst"].map(|phase| format!("{phase}.schedule={noam}"));
    let (first, then) =
        (config(&[]), config(&["captioner.d_model=64", "clip.width=64", &clip, &scst]));
    let job = Job::new(dir.path(), &first, &dataset, &device);
    let (pipeline, features) = seen(&job);
    let start = fresh_captioner(&job, &features).unwrap();
    let run = dir.path().join("then");
    let job = Job { run: &run, config: &then, ..job };
    train_clip(&job, Some(pipeline)).unwrap();
    train_scst(&job, &features, &mut words(), start).unwrap();
    for phase in ["clip", "scst"] {
        let log = std::fs::read_to_string(run.join(phase).join("metrics.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        // Width 16 and not 64: 16^-0.5 · 1 · 10^-1.5 (Vaswani et al. 2017, section 5.3).
        let expected = 16f64.powf(-0.5) * 10f64.powf(-1.5);
        assert!((line["lr"].as_f64().unwrap() - expected).abs() < 1e-12, "{phase}: {line}");
    }
}

#[test]
fn data_without_held_out_images_trains_in_every_phase() {
    let (dir, device, mut dataset) = (tempfile::tempdir().unwrap(), Device::flex(), scenes());
    dataset.images.retain(|image| image.split == Split::Train);
    let config = config(&[]);
    let job = Job::new(dir.path(), &config, &dataset, &device);
    let (clip, features) = seen(&job);
    let start = train_mle(&job, &features, fresh_captioner(&job, &features).unwrap()).unwrap();
    train_grammar(&job, Some(&features), Some(clip)).unwrap();
    train_scst(&job, &features, &mut words(), start.clone()).unwrap();
    for phase in ["clip", "mle", "grammar", "scst"] {
        assert!(dir.path().join(phase).join("model").is_dir());
        assert!(validated(dir.path(), phase).is_empty());
    }
    // Checkpoints without a best one can be gone on from.
    let job = Job { resume: Resume::GoOn, ..job };
    train_scst(&job, &features, &mut words(), start).unwrap();
}

#[test]
fn a_refusal_leaves_no_folder_that_says_a_run_is_there() {
    let (dir, device, mut dataset) = (tempfile::tempdir().unwrap(), Device::flex(), scenes());
    let first = config(&[]);
    let job = Job::new(dir.path(), &first, &dataset, &device);
    let (clip, features) = seen(&job);
    let start = fresh_captioner(&job, &features).unwrap();
    dataset.images.retain(|image| image.split == Split::Train);
    let best = config(&["checkpoint.export=best"]);
    let run = dir.path().join("run");
    let job = Job::new(&run, &best, &dataset, &device);
    let errors = [
        train_clip(&job, None).err().unwrap(),
        train_mle(&job, &features, start.clone()).err().unwrap(),
        train_grammar(&job, Some(&features), Some(clip)).err().unwrap(),
        train_scst(&job, &features, &mut words(), start.clone()).err().unwrap(),
    ];
    for error in errors {
        assert!(error.to_string().contains("`checkpoint.export`"), "{error}");
    }
    let heads = config(&["captioner.n_heads=3"]);
    let job = Job { config: &heads, ..job };
    assert!(fresh_captioner(&job, &features).is_err());
    let empty = Dataset { images: Vec::new() };
    let job = Job { config: &first, dataset: &empty, ..job };
    for error in [
        train_mle(&job, &features, start.clone()).err().unwrap(),
        train_scst(&job, &features, &mut words(), start).err().unwrap(),
    ] {
        assert!(error.to_string().contains("no training images"), "{error}");
    }
    assert!(!run.exists());
}

#[test]
fn a_reward_of_ones_own_is_heard_and_its_failure_stops_before_the_step() {
    let (dir, device, dataset) = (tempfile::tempdir().unwrap(), Device::flex(), scenes());
    let config = config(&["scst.steps=1"]);
    let job = Job::new(dir.path(), &config, &dataset, &device);
    let (_, features) = seen(&job);
    let start = fresh_captioner(&job, &features).unwrap();
    type Score = fn(usize) -> Result<f32, RewardError>;
    let failing: [(&str, Score, &str); 2] = [
        ("nan", |_| Ok(f32::NAN), "the reward `words` is not a finite number for the caption"),
        ("own", |_| Err(RewardError::other("words", "no line")), "`words` failed: no line"),
    ];
    for (name, score, expected) in failing {
        let run = dir.path().join(name);
        let job = Job { run: &run, ..job };
        let mut reward = WeightedSum::new(vec![Term::new(1.0, Words(score))]).unwrap();
        let error = train_scst(&job, &features, &mut reward, start.clone()).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(std::fs::read_to_string(run.join("scst/metrics.jsonl")).unwrap(), "");
    }
    train_scst(&job, &features, &mut words(), start).unwrap();
    let log = std::fs::read_to_string(dir.path().join("scst/metrics.jsonl")).unwrap();
    assert!(log.contains("\"words_mean\""), "{log}");
}
