//! The paper's finding in miniature: what each reward makes of the same captioner.
//!
//! On generated scenes: a tiny CLIP, a captioner that imitates short references (MLE), a grammar
//! head, then one SCST run for each recipe from the same start and with the same budget.
//!
//! `cargo run --release --example paper_table -- --help` shows the options.
#![recursion_limit = "256"]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Parser;
use finecap::captioner::{Captioner, Vocab};
use finecap::scenes::{ScenesConfig, generate};
use finecap::train::{
    Config, Dataset, Evaluator, FeatureStore, RewardModels, SceneScores, Split, TableRow,
    greedy_captions, judge_scenes, table, train_clip, train_grammar, train_mle, train_scst,
    write_json,
};
use serde_json::{Map, Value, json};

/// Key in `results.json`, name in the table, and what is added to configs/paper_table.toml.
const RECIPES: [(&str, &str, &[&str]); 5] = [
    ("cider", "CIDEr", &["scst.reward.clip_s=0.0", "scst.reward.cider=1.0"]),
    ("clip_s", "CLIP-S", &["scst.reward.clip_s=1.0"]),
    ("cider_clip_s", "CIDEr + CLIP-S", &["scst.reward.clip_s=2.0", "scst.reward.cider=1.0"]),
    // The weights of the paper's text; the released code's 2 : 1 does not restore grammar here.
    ("clip_s_grammar", "CLIP-S + Grammar", &["scst.reward.clip_s=1.0", "scst.reward.grammar=2.0"]),
    // Not in the paper.
    (
        "contrastive_grammar",
        "Contrastive + Grammar, leave-one-out",
        &[
            "scst.reward.clip_s=1.0",
            "scst.reward.contrastive=0.2",
            "scst.reward.grammar=2.0",
            "scst.baseline=\"leave_one_out\"",
        ],
    ),
];

/// Compare rewards on generated scenes.
#[derive(Parser)]
struct Arguments {
    /// Run every line in a few minutes; the numbers mean little then.
    #[arg(long)]
    quick: bool,
    /// Where to compute, as in `finecap --device`.
    #[arg(long)]
    device: Option<String>,
    /// Number of seeds, from --seed on; the table gives mean and spread over them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// First seed of the data and of training.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the runs.
    #[arg(long, default_value = "runs/paper_table")]
    out: PathBuf,
    /// Go on with runs that were stopped; more seeds may be asked for than before.
    #[arg(long)]
    resume: bool,
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
    let out = &arguments.out;
    if out.join("results.json").exists() && !arguments.resume {
        bail!(
            "{} holds a table already: go on with --resume, or choose another --out",
            out.display()
        );
    }
    let names: Vec<(&str, &str)> = std::iter::once(("mle", "MLE"))
        .chain(RECIPES.iter().map(|(key, name, _)| (*key, *name)))
        .collect();
    let mut scores: Vec<Vec<SceneScores>> = vec![Vec::new(); names.len()];
    let last = arguments.seed + arguments.seeds - 1;
    for seed in arguments.seed..=last {
        eprintln!("seed {seed} of {}..={last}: {}", arguments.seed, out.display());
        let run = out.join(format!("seed-{seed}"));
        let rows = run_seed(&run, seed, &arguments, &device)?;
        scores.iter_mut().zip(rows).for_each(|(all, row)| all.push(row));
    }
    let rows: Vec<TableRow> =
        names.iter().zip(&scores).map(|((_, name), seeds)| TableRow::new(*name, seeds)).collect();
    let by_key = |value: fn(&TableRow) -> Value| -> Map<String, Value> {
        names.iter().zip(&rows).map(|((key, _), row)| (key.to_string(), value(row))).collect()
    };
    let results = json!({
        "seeds": (arguments.seed..=last).collect::<Vec<u64>>(),
        "quick": arguments.quick,
        "decoding": "greedy",
        "rows": by_key(|row| json!(row.mean)),
        "spread": by_key(|row| json!(row.spread)),
        "names": by_key(|row| json!(row.name)),
    });
    write_json(&out.join("results.json"), &results)?;
    println!(
        "\nGreedy captions of held-out scenes, {} seed(s):\n\n{}",
        arguments.seeds,
        table(&rows)
    );
    println!(
        "\n{:.0} s in all; results in {}",
        started.elapsed().as_secs_f64(),
        out.join("results.json").display()
    );
    Ok(())
}

/// Everything for one seed: MLE, then each recipe.
fn run_seed(
    run: &Path,
    seed: u64,
    arguments: &Arguments,
    device: &Device,
) -> Result<Vec<SceneScores>> {
    let file = if arguments.quick { "paper_table_quick.toml" } else { "paper_table.toml" };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(file);
    let seeded = format!("seed={seed}");
    let config = Config::read(Some(&file), std::slice::from_ref(&seeded))?;
    let mut sizes = ScenesConfig { seed, ..ScenesConfig::default() };
    if arguments.quick {
        (sizes.train, sizes.val, sizes.test) = (800, 50, 100);
    }
    let records = generate(&sizes)?;
    let dataset = Dataset::scenes(&records, sizes.image_size);
    let resume = arguments.resume;

    let clip = train_clip(run, &config, &dataset, None, device, resume)?;
    let features = FeatureStore::open_or_build(&run.join("features"), &dataset, &clip, device)?;
    let mle = train_mle(run, &config, &dataset, &features, device, resume)?;
    let grammar =
        train_grammar(run, &config, &dataset, Some(&features), Some(clip.clone()), device, resume)?;

    let models = RewardModels { grammar: Some(&grammar), ..RewardModels::new(&clip) };
    let evaluator = Evaluator {
        dataset: &dataset,
        features: &features,
        models,
        settings: &config.scst.reward,
        device,
    };
    let test = dataset.split(Split::Test);
    let judged = |dir: &Path, (model, vocab): &(Captioner, Vocab)| -> Result<SceneScores> {
        let max_len = config.captioner.max_len;
        let captions = greedy_captions(model, vocab, &features, &test, max_len, device)?;
        let (scores, mut captions) = evaluator.evaluate(&captions, &test)?;
        let scores = judge_scenes(scores, &mut captions, test.iter().map(|&i| &records[i]));
        write_json(
            &dir.join("evaluation.json"),
            &json!({ "decoding": "greedy", "scores": scores, "captions": captions }),
        )?;
        Ok(scores)
    };
    let mut rows = vec![judged(&run.join("mle"), &mle)?];
    for (key, name, settings) in RECIPES {
        eprintln!("seed {seed}: {name}");
        let mut overrides: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
        overrides.push(seeded.clone());
        let config = Config::read(Some(&file), &overrides)?;
        let run = run.join(key);
        let start = mle.clone();
        let model = train_scst(&run, &config, &dataset, &features, models, start, device, resume)?;
        rows.push(judged(&run, &model)?);
    }
    println!(
        "\nseed {seed}:\n{}\n",
        table(
            &std::iter::once("MLE")
                .chain(RECIPES.iter().map(|(_, name, _)| *name))
                .zip(&rows)
                .map(|(name, row)| TableRow::new(name, std::slice::from_ref(row)))
                .collect::<Vec<_>>()
        )
    );
    Ok(rows)
}
