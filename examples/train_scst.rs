//! The whole method in minutes, without downloads: a captioner learns to be specific.
//!
//! Generates scenes, trains a tiny CLIP on their alt texts, trains a captioner to imitate short
//! references (MLE), then rewards it with CLIP-S (SCST), and compares both on held-out scenes.
//!
//! `cargo run --release --example train_scst -- --help` shows the options.
#![recursion_limit = "256"]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use finecap::captioner::{Captioner, Vocab};
use finecap::scenes::{SceneRecord, ScenesConfig, generate, judge};
use finecap::train::{
    Captioned, Config, Dataset, Evaluation, FeatureStore, Split, evaluate, greedy_captions,
    train_clip, train_mle, train_scst,
};
use serde::Serialize;
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

/// One line of the table.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    scores: Evaluation,
    /// Share of captions that are sentences of the scene grammar.
    grammatical: f64,
    /// Share of all claims that are true of their picture.
    true_claims: f64,
}

fn main() -> ExitCode {
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

    let resume = arguments.resume;
    let pipeline = train_clip(&out, &config, &dataset, None, &device, resume)?;
    let features =
        FeatureStore::open_or_build(&out.join("features"), &dataset, &pipeline, &device)?;
    let mle = train_mle(&out, &config, &dataset, &features, &device, resume)?;
    let start = mle.clone();
    let scst = train_scst(&out, &config, &dataset, &features, &pipeline, start, &device, resume)?;

    let test = dataset.split(Split::Test);
    let judged = |(model, vocab): &(Captioner, Vocab)| -> Result<(Row, Vec<Captioned>)> {
        let max_len = config.captioner.max_len;
        let captions = greedy_captions(model, vocab, &features, &test, max_len, &device)?;
        let reward = &config.scst.reward;
        let scores = evaluate(&captions, &test, &dataset, &features, &pipeline, reward, &device)?;
        Ok((row(scores, &captions, test.iter().map(|&i| &records[i])), captions))
    };
    let (mle_row, before) = judged(&mle)?;
    let (scst_row, after) = judged(&scst)?;

    print_table(test.len(), &[("MLE", &mle_row), ("CLIP-S", &scst_row)]);
    let mut examples = Vec::new();
    println!("\nTen held-out scenes:");
    for i in (0..test.len()).step_by((test.len() / 10).max(1)).take(10) {
        let record = &records[test[i]];
        println!("\n  {}", record.scene.description());
        println!("    before      {}", before[i].text);
        println!("    after       {}", after[i].text);
        println!("    references  {}", record.references.join(" | "));
        examples.push(json!({
            "image": record.file_name(),
            "before": before[i].text,
            "after": after[i].text,
            "references": record.references,
        }));
    }
    let gain = scst_row.scores.r1 / mle_row.scores.r1;
    let results = json!({
        "seed": arguments.seed,
        "quick": arguments.quick,
        "decoding": "greedy",
        "test_images": test.len(),
        "rows": { "mle": mle_row, "clip_s": scst_row },
        "examples": examples,
    });
    let path = out.join("results.json");
    fs::write(&path, format!("{results:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!(
        "\nR@1 is {gain:.1} times that of MLE. {:.0} s in all; results in {}",
        started.elapsed().as_secs_f64(),
        path.display()
    );
    Ok(())
}

fn row<'a>(
    scores: Evaluation,
    captions: &[Captioned],
    records: impl Iterator<Item = &'a SceneRecord>,
) -> Row {
    let verdicts: Vec<_> =
        captions.iter().zip(records).map(|(c, r)| judge(&c.text, &r.scene)).collect();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let grammatical = verdicts.iter().filter(|v| v.grammatical).count();
    let claims = verdicts.iter().map(|v| v.claims.len()).sum();
    let true_claims = verdicts.iter().map(|v| v.true_claims()).sum();
    Row {
        scores,
        grammatical: share(grammatical, verdicts.len()),
        true_claims: share(true_claims, claims),
    }
}

fn print_table(images: usize, rows: &[(&str, &Row)]) {
    println!("\nGreedy captions of {images} held-out scenes:\n");
    println!(
        "{:8} {:>8} {:>8} {:>6} {:>6} {:>6} {:>12} {:>12} {:>7} {:>9}",
        "",
        "CIDEr-D",
        "CLIP-S",
        "R@1",
        "R@5",
        "R@10",
        "grammatical",
        "true claims",
        "length",
        "distinct"
    );
    for (name, row) in rows {
        let s = &row.scores;
        println!(
            "{name:8} {:8.3} {:8.3} {:6.1} {:6.1} {:6.1} {:12.2} {:12.2} {:7.1} {:9}",
            s.cider,
            s.clip_s,
            s.r1,
            s.r5,
            s.r10,
            row.grammatical,
            row.true_claims,
            s.length,
            s.distinct
        );
    }
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
