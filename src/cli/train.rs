//! `finecap train clip|mle|scst`

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use finecap::captioner::Captioner;
use finecap::clip::ClipPipeline;
use finecap::train::{Config, Dataset, FeatureStore, train_clip, train_mle, train_scst};

/// A training phase.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Contrastive training of a CLIP model.
    Clip,
    /// Imitation of reference captions.
    Mle,
    /// Self-critical sequence training with rewards.
    Scst,
}

#[derive(Args)]
pub struct Train {
    /// What to train. The phases share one --out folder and build on each other: clip, mle, scst.
    phase: Phase,
    /// Captions, in the schema of Karpathy's dataset_coco.json.
    #[arg(long, value_name = "JSON")]
    data: PathBuf,
    /// Folder with the pictures.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Settings (TOML); without it every setting has its default.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Folder of the run.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Change one setting, as in --set mle.steps=100; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// CLIP model to start from (clip) or to see and reward with (mle, scst); by default that of
    /// the run.
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// Captioner that scst starts from; by default the mle model of the run.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Folder of image features, read or made; by default RUN/features.
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// Go on with a run that was stopped.
    #[arg(long)]
    resume: bool,
    /// Leave out pictures that cannot be read, after naming them.
    #[arg(long)]
    skip_bad_images: bool,
}

impl Train {
    pub fn run(self, device: &Device) -> Result<()> {
        let config = Config::read(self.config.as_deref(), &self.overrides)?;
        let mut dataset = Dataset::karpathy(&self.data, &self.images)?;
        if self.skip_bad_images {
            let errors = dataset.drop_bad_images();
            for error in &errors {
                eprintln!("skipped: {error}");
            }
            if dataset.images.is_empty() {
                bail!("none of the pictures in {} can be read", self.images.display());
            }
        }
        let run = &self.out;
        if self.phase == Phase::Clip {
            let start = match &self.clip {
                Some(dir) => Some(ClipPipeline::load(dir, device)?),
                None => None,
            };
            train_clip(run, &config, &dataset, start, device, self.resume)?;
            return Ok(());
        }

        let clip_dir = self.clip.clone().unwrap_or_else(|| run.join("clip/model"));
        need(
            &clip_dir,
            "CLIP model",
            "run `finecap train clip` with the same --out first, or name one with --clip",
        )?;
        let pipeline = ClipPipeline::load(&clip_dir, device)?;
        let features = self.features.clone().unwrap_or_else(|| run.join("features"));
        let features = FeatureStore::open_or_build(&features, &dataset, &pipeline, device)?;
        let phase_dir = if self.phase == Phase::Mle {
            train_mle(run, &config, &dataset, &features, device, self.resume)?;
            run.join("mle")
        } else {
            let start = self.start.clone().unwrap_or_else(|| run.join("mle/model"));
            need(
                &start,
                "captioner",
                "run `finecap train mle` with the same --out first, or name one with --start",
            )?;
            let start = Captioner::load(&start, device)?;
            train_scst(run, &config, &dataset, &features, &pipeline, start, device, self.resume)?;
            run.join("scst")
        };
        // `finecap caption` needs the eyes as well as the mouth.
        let link = phase_dir.join("clip.txt");
        let clip_dir = std::fs::canonicalize(&clip_dir).unwrap_or(clip_dir);
        std::fs::write(&link, format!("{}\n", clip_dir.display()))
            .with_context(|| format!("cannot write {}", link.display()))?;
        Ok(())
    }
}

fn need(dir: &Path, what: &str, remedy: &str) -> Result<()> {
    if !dir.is_dir() {
        bail!("there is no {what} at {}: {remedy}", dir.display());
    }
    Ok(())
}
