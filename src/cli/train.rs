//! `finecap train clip|mle|grammar|scst`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use finecap::captioner::CaptionerPipeline;
use finecap::clip::ClipPipeline;
use finecap::data::{ReadOptions, Shards, is_shards};
use finecap::reward::{CiderTable, GrammarScorer};
use finecap::terminal::say;
use finecap::train::{
    Config, Dataset, EvaluationFile, Evaluator, FeatureStore, Job, RewardModels, RunFolder, Split,
    TableRow, fresh_captioner, relative, table, train_clip, train_clip_on_shards, train_grammar,
    train_mle, train_scst,
};

use super::data::{ColumnsArgs, dataset, drop_bad_images, pictures_of};
use super::features::unsure;

/// A training phase.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Contrastive training of a CLIP model.
    Clip,
    /// Imitation of reference captions.
    Mle,
    /// A grammar head: CLIP's text tower learns to tell captions from corrupted ones.
    Grammar,
    /// Self-critical sequence training with rewards.
    Scst,
}

#[derive(Args)]
pub struct Train {
    /// What to train. The phases share one --out folder and build on each other:
    /// clip, mle, grammar (for a grammar reward), scst.
    phase: Phase,
    /// Captions, in any format (see `finecap data inspect`). Shards such as {000..123}.tar hold their
    /// pictures; `train clip` reads them as it goes.
    #[arg(long, value_name = "FILE", required_unless_present = "captions")]
    data: Option<PathBuf>,
    /// Folder with the pictures.
    #[arg(long, value_name = "DIR", requires = "data")]
    images: Option<PathBuf>,
    /// Captions without pictures, for grammar only: text with one caption a line, or any format
    /// that --data reads.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "data")]
    captions: Vec<PathBuf>,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Settings (TOML); without it every setting has its default.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder of the run.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Change one setting, as in --set mle.steps=100; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// CLIP model to start from (clip, grammar) or to see and reward with (mle, scst); by default
    /// that of the run.
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// Captioner that scst starts from; by default the mle model of the run.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Grammar model that rewards (scst), or the run that made it, where a grammar term is asked
    /// for; by default that of the run.
    #[arg(long, value_name = "DIR")]
    grammar: Option<PathBuf>,
    /// CIDEr-D's document frequencies (scst), as `finecap prepare` writes them; by default they
    /// are counted over the training references.
    #[arg(long, value_name = "FILE")]
    cider: Option<PathBuf>,
    /// Folder of image features, read or made; by default RUN/features.
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// Resume a run that was stopped, from its newest checkpoint.
    #[arg(long)]
    resume: bool,
    /// Leave out pictures that cannot be read, after naming them.
    #[arg(long)]
    skip_bad_images: bool,
}

impl Train {
    pub fn run(self, device: &Device) -> Result<()> {
        let config = Config::read(self.config.as_deref(), &self.overrides)?;
        let run = RunFolder::new(&self.out);
        let Some(data) = &self.data else { return self.grammar_of_text(&config, device) };
        let images = pictures_of(data, self.images.as_deref())?;
        if self.phase == Phase::Clip && is_shards(data) {
            let nothing = Dataset { images: Vec::new() };
            let start =
                self.clip.as_ref().map(|dir| ClipPipeline::load(dir, device)).transpose()?;
            let job = self.job(&config, &nothing, device);
            train_clip_on_shards(&job, &Shards::find(data)?, self.skip_bad_images, start)?;
            return Ok(());
        }
        let options = self.columns.options();
        let options = ReadOptions { lenient: self.skip_bad_images, ..options };
        let mut dataset = dataset(data, images, &options)?;
        if self.skip_bad_images {
            drop_bad_images(&mut dataset, data)?;
        }
        let job = self.job(&config, &dataset, device);
        if self.phase == Phase::Clip {
            let start = match &self.clip {
                Some(dir) => Some(ClipPipeline::load(dir, device)?),
                None => None,
            };
            train_clip(&job, start)?;
            return Ok(());
        }

        let clip_dir = self.clip.clone().unwrap_or_else(|| run.model("clip"));
        need(
            &clip_dir,
            "CLIP model",
            "run `finecap train clip` with the same --out first, or name one with --clip",
        )?;
        let pipeline = ClipPipeline::load(&clip_dir, device)?;
        // What else there must be is read before pictures are encoded, which may take hours.
        let (grammar, cider);
        let mut models = RewardModels::new(&pipeline);
        let start = match self.phase {
            Phase::Scst => Some(self.load_start(device)?),
            _ => None,
        };
        if let Some(start) = &start {
            if config.scst.reward.needs_grammar() {
                grammar = self.load_grammar(device)?;
                models.grammar = Some(&grammar);
            }
            if let Some(path) = &self.cider {
                cider = CiderTable::load(path)?;
                let fits = cider.check_vocabulary(&start.vocab.fingerprint());
                fits.with_context(|| path.display().to_string())?;
                models.cider = Some(&cider);
            }
        }
        let features = self.features.clone().unwrap_or_else(|| run.features());
        if let Some(start) = &start {
            let spec = FeatureStore::spec_ahead(&features, &pipeline)?;
            let untold = start.model.config().check_spec(&spec);
            let untold = untold.with_context(|| features.display().to_string())?;
            if !untold.is_empty() {
                say(&unsure(&self.start_dir(), &untold));
            }
        }
        let features = FeatureStore::open_or_build(&features, &dataset, &pipeline, device)?;
        if self.phase == Phase::Grammar {
            train_grammar(&job, Some(&features), Some(pipeline))?;
            return Ok(());
        }
        let (phase, name, trained) = match start {
            None => {
                let trained = train_mle(&job, &features, fresh_captioner(&job, &features)?)?;
                ("mle", "MLE".to_string(), trained)
            }
            Some(start) => {
                let settings = &config.scst.reward;
                let mut reward =
                    models.build(settings, &dataset, &features, &start.vocab, device)?;
                let trained = train_scst(&job, &features, &mut reward, start)?;
                ("scst", settings.to_string(), trained)
            }
        };
        // `finecap caption` also needs the CLIP model.
        run.note_clip(phase, &clip_dir)?;

        let evaluator = Evaluator {
            dataset: &dataset,
            features: &features,
            models,
            settings: &config.scst.reward,
            device,
        };
        let held_out = match dataset.split(Split::Test) {
            test if test.is_empty() => dataset.split(Split::Val),
            test => test,
        };
        if held_out.is_empty() {
            say("nothing is held out: no scores are written");
            return Ok(());
        }
        let (scores, captions) = evaluator.evaluate_model(&trained, &held_out)?;
        let images = images.unwrap_or(data);
        let phase_dir = run.phase(phase);
        let pictures = relative(&phase_dir, images);
        let order = usize::from(self.phase == Phase::Scst);
        let file = EvaluationFile::new(&name, order, config.seed, pictures, &scores, captions);
        file.write(&phase_dir)?;
        let row = TableRow::new(name, std::slice::from_ref(&file.scores));
        let table = table(&[row]);
        say(&format!("\nGreedy captions of {} held-out pictures:\n{table}", held_out.len()));
        Ok(())
    }

    /// `train grammar` without pictures.
    fn grammar_of_text(&self, config: &Config, device: &Device) -> Result<()> {
        if self.phase != Phase::Grammar {
            bail!("--captions is for `train grammar`: the other phases need --data and --images");
        }
        let options = self.columns.options();
        let (dataset, notes) = Dataset::texts(&self.captions, config.grammar.holdout, &options)?;
        for note in notes {
            say(&format!("note: {note}"));
        }
        let pipeline = match &self.clip {
            Some(dir) => Some(ClipPipeline::load(dir, device)?),
            None => None,
        };
        train_grammar(&self.job(config, &dataset, device), None, pipeline)?;
        Ok(())
    }

    fn start_dir(&self) -> PathBuf {
        self.start.clone().unwrap_or_else(|| RunFolder::new(&self.out).model("mle"))
    }

    fn job<'a>(&'a self, config: &'a Config, dataset: &'a Dataset, device: &'a Device) -> Job<'a> {
        Job { resume: self.resume.into(), ..Job::new(&self.out, config, dataset, device) }
    }

    fn load_start(&self, device: &Device) -> Result<CaptionerPipeline> {
        let start = self.start_dir();
        need(
            &start,
            "captioner",
            "run `finecap train mle` with the same --out first, or name one with --start",
        )?;
        Ok(CaptionerPipeline::load(&start, device)?)
    }

    fn load_grammar(&self, device: &Device) -> Result<GrammarScorer> {
        let dir = RunFolder::new(self.grammar.as_ref().unwrap_or(&self.out)).grammar()?;
        Ok(GrammarScorer::load(&dir, device)?)
    }
}

fn need(dir: &Path, what: &str, remedy: &str) -> Result<()> {
    if !dir.is_dir() {
        bail!("there is no {what} at {}: {remedy}", dir.display());
    }
    Ok(())
}
