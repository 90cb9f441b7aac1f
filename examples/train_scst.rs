//! The whole method in minutes, without downloads: a captioner learns to be specific.
//!
//! Generates scenes, trains a tiny CLIP on their alt texts, trains a captioner to imitate short
//! references (MLE), then rewards it with CLIP-S (SCST), and compares both on held-out scenes.
//!
//! `cargo run --release --example train_scst -- --help` shows the options.
#![recursion_limit = "256"]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use finecap::scenes::{ScenesConfig, generate};
use finecap::train::{
    Config, Dataset, Evaluator, FeatureStore, Job, RewardModels, Split, TableRow, evaluate_scenes,
    fresh_captioner, table, train_clip, train_mle, train_scst,
};
use serde_json::json;

/// Train a captioner with a CLIP reward on generated scenes.
#[derive(Parser)]
struct Arguments {
    /// Run every line in under a minute; the numbers mean little then.
    #[arg(long)]
    quick: bool,
    /// Where to compute, as in `finecap --device`.
    #[arg(long)]
    device: Option<String>,
    /// Seed of the data and of training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the run; by default the first free runs/train_scst-N.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on with a run that was stopped: that of --out, or the newest.
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    finecap::terminal::show();
    finecap::memory::keep_freed();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let started = Instant::now();
    let device = finecap::device::choose(arguments.device.as_deref())?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => default_out(arguments.resume)?,
    };
    let file = if arguments.quick { "scenes_quick.toml" } else { "scenes.toml" };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(file);
    let config = Config::read(Some(&file), &[format!("seed={}", arguments.seed)])?;

    let mut sizes = ScenesConfig { seed: arguments.seed, ..ScenesConfig::default() };
    if arguments.quick {
        (sizes.train, sizes.val, sizes.test) = (800, 50, 100);
    }
    eprintln!("run folder: {}", out.display());
    let records = generate(&sizes)?;
    let dataset = Dataset::scenes(&records, sizes.image_size);

    let job = Job::new(&out, &config, &dataset, &device);
    let job = Job { resume: arguments.resume.into(), ..job };
    let pipeline = train_clip(&job, None)?;
    let features =
        FeatureStore::open_or_build(&out.join("features"), &dataset, &pipeline, &device)?;
    let mle = train_mle(&job, &features, fresh_captioner(&job, &features)?)?;
    let models = RewardModels::new(&pipeline);
    let mut reward = models.build(&config.scst.reward, &dataset, &features, &mle.vocab, &device)?;
    let scst = train_scst(&job, &features, &mut reward, mle.clone())?;

    let test = dataset.split(Split::Test);
    let evaluator = Evaluator {
        dataset: &dataset,
        features: &features,
        models,
        settings: &config.scst.reward,
        device: &device,
    };
    let (mle_row, before) = evaluate_scenes(&evaluator, &mle, &test, &records)?;
    let (scst_row, after) = evaluate_scenes(&evaluator, &scst, &test, &records)?;

    println!("\nGreedy captions of {} held-out scenes:\n", test.len());
    println!(
        "{}",
        table(&[
            TableRow::new("MLE", &[mle_row.numbers()]),
            TableRow::new("CLIP-S", &[scst_row.numbers()]),
        ])
    );
    let mut examples = Vec::new();
    println!("\nTen held-out scenes:");
    for i in (0..test.len()).step_by((test.len() / 10).max(1)).take(10) {
        let record = &records[test[i]];
        println!("\n  {}", record.scene.description());
        println!("    before      {}", before[i].caption);
        println!("    after       {}", after[i].caption);
        println!("    references  {}", record.references.join(" | "));
        examples.push(json!({
            "image": record.file_name(),
            "before": before[i].caption,
            "after": after[i].caption,
            "references": record.references,
        }));
    }
    let (before, after) = (mle_row.scores.r1, scst_row.scores.r1);
    let gain = match before {
        0.0 => format!("{after:.1} %, that of MLE is 0"),
        _ => format!("{:.1} times that of MLE", after / before),
    };
    let results = json!({
        "seed": arguments.seed,
        "quick": arguments.quick,
        "decoding": "greedy",
        "test_images": test.len(),
        "rows": { "mle": mle_row, "clip_s": scst_row },
        "examples": examples,
    });
    let path = out.join("results.json");
    finecap::files::write_json(&path, &results)?;
    println!(
        "\nR@1 is {gain}. {:.0} s in all; results in {}",
        started.elapsed().as_secs_f64(),
        path.display()
    );
    Ok(())
}

/// The newest run to resume, or the first free name for a new one.
fn default_out(resume: bool) -> Result<PathBuf> {
    let path = |n: usize| PathBuf::from(format!("runs/train_scst-{n}"));
    let free = (1..).find(|&n| !path(n).exists()).unwrap_or(1);
    match (resume, free) {
        (false, _) => Ok(path(free)),
        (true, 1) => bail!("there is no run in runs/ to go on with: start one without --resume"),
        (true, _) => Ok(path(free - 1)),
    }
}
