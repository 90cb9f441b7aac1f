//! The paper's finding in miniature: what each reward makes of the same captioner.
//!
//! On generated scenes: a tiny CLIP, a captioner that imitates short references (MLE), a grammar
//! head, then one SCST run for each recipe from the same start and with the same budget.
//!
//! `cargo run --release --example paper_table -- --help` shows the options.
#![recursion_limit = "256"]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Parser;
use finecap::captioner::CaptionerPipeline;
use finecap::scenes::{ScenesConfig, generate};
use finecap::train::{
    Config, Dataset, EvaluationFile, Evaluator, FeatureStore, Job, RewardModels, Scores, Split,
    TableRow, TrainError, evaluate_scenes, fresh_captioner, table, train_clip, train_grammar,
    train_mle, train_scst,
};
use serde_json::{Map, Value, json};

/// Key in `results.json`, name in the table, and what is added to configs/paper_table.toml.
const RECIPES: [(&str, &str, &[&str]); 5] = [
    ("cider", "CIDEr", &["scst.reward.clip_s=0.0", "scst.reward.cider=1.0"]),
    ("clip_s", "CLIP-S", &["scst.reward.clip_s=1.0"]),
    ("cider_clip_s", "CIDEr + CLIP-S", &["scst.reward.clip_s=2.0", "scst.reward.cider=1.0"]),
    // The weights of the paper's text; the released code has them the other way round.
    ("clip_s_grammar", "CLIP-S + Grammar", &["scst.reward.clip_s=1.0", "scst.reward.grammar=2.0"]),
    // Not in the paper. Fitting the own picture better than the batch's others is rewarded too, so
    // that what all pictures share is worth less; a sample is compared with the other samples
    // rather than with the greedy caption, which leaves less noise; and what strays from the
    // captioner that imitates costs a little. With all three, a third of the grammar reward holds
    // the sentences together, and the captions may say more.
    (
        "contrastive_grammar_kl",
        "Contrastive + Grammar + KL",
        &[
            "scst.reward.clip_s=1.0",
            "scst.reward.contrastive=0.2",
            "scst.reward.grammar=0.7",
            "scst.baseline=leave_one_out",
            "scst.kl_beta=0.05",
        ],
    ),
];

/// One line of the table besides MLE.
#[derive(Clone)]
struct Recipe {
    key: String,
    name: String,
    settings: Vec<String>,
}

impl Recipe {
    /// Reads `key: setting=value, setting=value`.
    fn parse(text: &str) -> Result<Self, String> {
        let (key, settings) = text.split_once(':').ok_or("must be `key: setting=value, ...`")?;
        let key = key.trim().to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(plain) {
            return Err("the key must be made of letters, digits and _".into());
        }
        let settings = settings.split(',').map(|s| s.trim().to_string()).collect();
        Ok(Self { name: key.clone(), key, settings })
    }

    /// Those of the table, then `more`.
    fn all(more: &[Self]) -> Vec<Self> {
        let table = RECIPES.map(|(key, name, settings)| Self {
            key: key.into(),
            name: name.into(),
            settings: settings.iter().map(|s| s.to_string()).collect(),
        });
        table.into_iter().chain(more.iter().cloned()).collect()
    }
}

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
    /// A further line, as in "mine: scst.reward.grammar=1.0, scst.kl_beta=0.1"; may be given
    /// several times.
    #[arg(long = "recipe", value_parser = Recipe::parse)]
    recipes: Vec<Recipe>,
    /// Folder of the runs.
    #[arg(long, default_value = "runs/paper_table")]
    out: PathBuf,
    /// Go on with runs that were stopped; more seeds may be asked for than before.
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
    let out = &arguments.out;
    if out.join("results.json").exists() && !arguments.resume {
        bail!(
            "{} holds a table already: go on with --resume, or choose another --out",
            out.display()
        );
    }
    let recipes = Recipe::all(&arguments.recipes);
    let names: Vec<(&str, &str)> = std::iter::once(("mle", "MLE"))
        .chain(recipes.iter().map(|recipe| (recipe.key.as_str(), recipe.name.as_str())))
        .collect();
    let mut scores: Vec<Vec<Scores>> = vec![Vec::new(); names.len()];
    let last = arguments.seed + arguments.seeds - 1;
    for seed in arguments.seed..=last {
        eprintln!("seed {seed} of {}..={last}: {}", arguments.seed, out.display());
        let run = out.join(format!("seed-{seed}"));
        let rows = run_seed(&run, seed, &recipes, &arguments, &device)?;
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
    finecap::files::write_json(&out.join("results.json"), &results)?;
    println!(
        "\nGreedy captions of held-out scenes, {} seed(s):\n\n{}",
        arguments.seeds,
        table(&rows)
    );
    let report = out.join("report.html");
    let runs: Vec<PathBuf> =
        (arguments.seed..=last).map(|seed| out.join(format!("seed-{seed}"))).collect();
    finecap::report::write(&runs, finecap::report::PICTURES, &report)?;
    println!(
        "\n{:.0} s in all; results in {}, pictures and curves in {}",
        started.elapsed().as_secs_f64(),
        out.join("results.json").display(),
        report.display()
    );
    Ok(())
}

/// Everything for one seed: MLE, then each recipe.
fn run_seed(
    run: &Path,
    seed: u64,
    recipes: &[Recipe],
    arguments: &Arguments,
    device: &Device,
) -> Result<Vec<Scores>> {
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
    let job = Job::new(run, &config, &dataset, device);
    let job = Job { resume: arguments.resume.into(), ..job };

    let clip = train_clip(&job, None)?;
    let features = FeatureStore::open_or_build(&run.join("features"), &dataset, &clip, device)?;
    let mle = train_mle(&job, &features, fresh_captioner(&job, &features)?)?;
    let grammar = train_grammar(&job, Some(&features), Some(clip.clone()))?;

    let models = RewardModels { grammar: Some(&grammar), ..RewardModels::new(&clip) };
    let evaluator = Evaluator {
        dataset: &dataset,
        features: &features,
        models,
        settings: &config.scst.reward,
        device,
    };
    let test = dataset.split(Split::Test);
    // Gives the line of the table, and leaves it beside the model for the report.
    let judged = |order: usize, name: &str, dir: &Path, model: &CaptionerPipeline| {
        let (scores, captions) = evaluate_scenes(&evaluator, model, &test, &records)?;
        let file = EvaluationFile::new(name, order, seed, "../pictures", &scores, captions);
        file.write(dir)?;
        Ok::<_, TrainError>(file.scores)
    };
    let pictures = run.join("pictures");
    fs::create_dir_all(&pictures)
        .with_context(|| format!("cannot create {}", pictures.display()))?;
    for &image in &test {
        let path = pictures.join(&dataset.images[image].name);
        dataset.images[image].source.load()?.as_ref().clone().into_rgb().save(&path)?;
    }

    let mut rows = vec![judged(0, "MLE", &run.join("mle"), &mle)?];
    for (order, recipe) in recipes.iter().enumerate() {
        eprintln!("seed {seed}: {}", recipe.name);
        let overrides: Vec<String> =
            recipe.settings.iter().cloned().chain([seeded.clone()]).collect();
        let config = Config::read(Some(&file), &overrides)?;
        let run = run.join(&recipe.key);
        let settings = &config.scst.reward;
        let mut reward = models.build(settings, &dataset, &features, &mle.vocab, device)?;
        let job = Job { run: &run, config: &config, ..job };
        let model = train_scst(&job, &features, &mut reward, mle.clone())?;
        rows.push(judged(order + 1, &recipe.name, &run, &model)?);
    }
    let names = std::iter::once("MLE").chain(recipes.iter().map(|recipe| recipe.name.as_str()));
    let rows_of_seed: Vec<TableRow> = names
        .zip(&rows)
        .map(|(name, row)| TableRow::new(name, std::slice::from_ref(row)))
        .collect();
    println!("\nseed {seed}:\n{}\n", table(&rows_of_seed));
    Ok(rows)
}
