//! `finecap embed text`

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::Device;
use clap::Args;
use finecap::clip::{ClipPipeline, Tower, prompted};
use finecap::train::KeptRows;

use super::rows;
use crate::cli::lines::each_chunk;

#[derive(Args)]
pub struct Text {
    /// CLIP model.
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Text file with one caption a line; an empty line is an empty caption.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// File for the embeddings, `[N, E]` in float32.
    #[arg(long, value_name = "NPY")]
    output: PathBuf,
    /// Put before every caption, with a space between.
    #[arg(long, default_value = "")]
    prompt: String,
    /// Leave the embeddings as they are instead of scaling them to length 1.
    #[arg(long)]
    raw: bool,
}

impl Text {
    pub fn run(self, device: &Device) -> Result<()> {
        let pipeline = ClipPipeline::load_tower(&self.clip, Tower::Text, device)?;
        let width = pipeline.config.projection_dim;
        let mut output = KeptRows::begin(&self.output, &"captions", width, 1, false)?;
        let embedded = each_chunk(&self.input, "captions", |captions| {
            let texts: Vec<String> =
                captions.iter().map(|caption| prompted(&self.prompt, caption)).collect();
            let states = pipeline.text_states(&texts, device)?;
            Ok(output.push(&rows(pipeline.model.project_text(states), self.raw))?)
        });
        match embedded {
            Ok(captions) => {
                output.write_npy(&self.output, |_| true)?;
                output.remove()?;
                eprintln!("{captions} captions -> {}", self.output.display());
                Ok(())
            }
            Err(error) => {
                output.remove()?;
                Err(error)
            }
        }
    }
}
