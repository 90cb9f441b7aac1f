//! `finecap caption`

mod output;
mod settings;
mod source;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::captioner::{Captioner, Vocab};
use finecap::clip::ClipPipeline;
use finecap::data::PictureList;
use finecap::train::{Progress, RunFolder, clip_of};

use self::output::Output;
use self::settings::{Method, Settings};
use self::source::Source;
use super::features::unsure;

#[derive(Args)]
pub struct Caption {
    /// Pictures, or folders of pictures; with --features, names of images in it (by default all).
    #[arg(required_unless_present = "features", value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A run (its scst model, or else its mle model is used), one phase of it, as RUN/mle, or the
    /// folder of a captioner.
    #[arg(long, value_name = "RUN")]
    model: PathBuf,
    /// CLIP model that sees; by default the one that the captioner was trained with.
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
    /// Feature store to describe instead of pictures.
    #[arg(long, value_name = "DIR", conflicts_with = "clip")]
    features: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Print JSON instead of lines of picture, tab, caption.
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Write JSON to a file.
    #[arg(long, value_name = "JSON")]
    output: Option<PathBuf>,
}

impl Caption {
    pub fn run(self, device: &Device) -> Result<()> {
        let model = RunFolder::new(&self.model).captioner()?;
        let (captioner, vocab) = Captioner::load(&model, device)?;
        let method = self.settings.method(&captioner, &vocab)?;
        let mut source = match &self.features {
            Some(dir) => Source::store(dir, &self.images)?,
            None => {
                let clip = match self.clip {
                    Some(dir) => dir,
                    None => clip_of(&model)?,
                };
                let list = PictureList::read(&self.images)?;
                for note in &list.notes {
                    eprintln!("{note}");
                }
                Source::Pictures(list.paths, Box::new(ClipPipeline::load(&clip, device)?), clip)
            }
        };
        let untold = source.fit(captioner.config())?;
        if !untold.is_empty() {
            eprintln!("{}", unsure(&model, &untold));
        }
        let output = Output::open(self.output.as_deref(), self.json, &method)?;
        // A bar and captions can't share the terminal.
        let quiet = self.output.is_none() && stdout().is_terminal();
        Describe { captioner, vocab, method, output, quiet }.all(&source, device)
    }
}

/// What is needed to describe images.
struct Describe {
    captioner: Captioner,
    vocab: Vocab,
    method: Method,
    output: Output,
    /// Show no progress.
    quiet: bool,
}

impl Describe {
    fn all(mut self, source: &Source, device: &Device) -> Result<()> {
        let total = source.len();
        if total == 0 {
            bail!("there is no image to describe");
        }
        let mut progress = (!self.quiet).then(|| Progress::new("captions", 0, total));
        let mut failed = 0;
        source.each(device, |batch| {
            failed += batch.failed.len();
            for error in &batch.failed {
                let line = format!("skipped: {error}");
                progress.as_ref().map_or_else(|| eprintln!("{line}"), |p| p.note(&line));
            }
            if let Some(grid) = batch.grid {
                let keys: Vec<u64> = batch.places.iter().map(|&place| place as u64).collect();
                let found = self.method.decode(&self.captioner, grid, &keys)?;
                for (&place, found) in batch.places.iter().zip(found) {
                    self.output.write(&source.name(place), &found, &self.vocab)?;
                }
            }
            if let Some(progress) = &mut progress {
                progress.set(batch.range.end, String::new);
            }
            Ok(())
        })?;
        if failed == total {
            bail!("none of the {failed} pictures could be read");
        }
        self.output.finish()?;
        if let Some(progress) = progress {
            progress.finish("");
        }
        if failed > 0 {
            eprintln!("{failed} of {total} pictures could not be read");
        }
        Ok(())
    }
}
