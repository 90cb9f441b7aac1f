//! `finecap caption`

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::captioner::{Captioner, Decoding, Draws};
use finecap::clip::{ClipPipeline, load_image};

use super::pictures::pictures;

/// Pictures described together.
const BATCH: usize = 32;

#[derive(Args)]
pub struct Caption {
    /// Pictures, or folders of pictures.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A run (its scst model, or else its mle model is used) or one phase of it, as RUN/mle.
    #[arg(long, value_name = "RUN")]
    model: PathBuf,
    /// CLIP model that sees; by default the one that the captioner was trained with.
    #[arg(long, value_name = "DIR")]
    clip: Option<PathBuf>,
}

impl Caption {
    pub fn run(self, device: &Device) -> Result<()> {
        let phase = phase_dir(&self.model)?;
        let clip_dir = match self.clip {
            Some(dir) => dir,
            None => clip_dir(&phase)?,
        };
        let pipeline = ClipPipeline::load(&clip_dir, device)?;
        let (captioner, vocab) = Captioner::load(&phase.join("model"), device)?;
        if captioner.config().feature_dim != pipeline.config.vision_config.grid_width() {
            bail!(
                "{} reads features of width {}, but the CLIP model in {} gives {}: name the right one with --clip",
                phase.display(),
                captioner.config().feature_dim,
                clip_dir.display(),
                pipeline.config.vision_config.grid_width()
            );
        }
        let paths = pictures(&self.images)?;
        let mut failed = 0;
        for chunk in paths.chunks(BATCH) {
            let mut names = Vec::new();
            let mut images = Vec::new();
            for path in chunk {
                match load_image(path) {
                    Ok(image) => {
                        names.push(path);
                        images.push(image);
                    }
                    Err(error) => {
                        failed += 1;
                        eprintln!("skipped: {error}");
                    }
                }
            }
            if images.is_empty() {
                continue;
            }
            let grid = pipeline.embed_images(&images, device)?.grid;
            let keys: Vec<u64> = (0..images.len() as u64).collect();
            let decoding = Decoding::greedy(captioner.config().max_len);
            let draws = Draws { seed: 0, step: 0, images: &keys };
            let decoded = captioner.decode(grid, &decoding, &draws)?;
            let captions = decoded.iter().filter_map(|image| image.greedy.as_ref());
            for (name, caption) in names.iter().zip(captions) {
                println!("{}\t{}", name.display(), vocab.decode(&caption.ids));
            }
        }
        if failed == paths.len() {
            bail!("none of the {failed} pictures could be read");
        }
        Ok(())
    }
}

/// The phase folder with the model to use.
fn phase_dir(run: &Path) -> Result<PathBuf> {
    let candidates = [run.to_path_buf(), run.join("scst"), run.join("mle")];
    match candidates.into_iter().find(|dir| dir.join("model/vocab.json").is_file()) {
        Some(dir) => Ok(dir),
        None => bail!(
            "there is no finished captioner in {}: train one with `finecap train mle --out {}`",
            run.display(),
            run.display()
        ),
    }
}

/// Where training noted the CLIP model, or the run's own.
fn clip_dir(phase: &Path) -> Result<PathBuf> {
    let noted = std::fs::read_to_string(phase.join("clip.txt")).unwrap_or_default();
    let beside = phase.parent().unwrap_or(phase).join("clip/model");
    let candidates = [PathBuf::from(noted.trim()), beside];
    match candidates.into_iter().find(|dir| dir.join("config.json").is_file()) {
        Some(dir) => Ok(dir),
        None => bail!(
            "the CLIP model that {} was trained with is not where it was: name it with --clip",
            phase.display()
        ),
    }
}
