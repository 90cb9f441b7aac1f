//! `finecap embed text|image`

use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use clap::{Args, Subcommand};
use finecap::clip::{ClipPipeline, load_image, normalize, prompted};
use finecap::files::write_json;
use finecap::train::{NpyReader, NpyWriter, Progress, each_batch};

use super::lines::each_chunk;
use super::pictures::{file_name, pictures};

/// Prepared pictures encoded together.
const BATCH: usize = 32;

#[derive(Subcommand)]
pub enum Embed {
    /// Captions, one a line: one row each, in their order.
    Text(Text),
    /// Pictures: one row each, in the order of their file names.
    Image(Image),
}

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

#[derive(Args)]
pub struct Image {
    /// CLIP model.
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Pictures, or folders of pictures.
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required_unless_present = "pixels")]
    input: Vec<PathBuf>,
    /// Prepared pixels `[N, 3, S, S]` instead of pictures.
    #[arg(long, value_name = "NPY", conflicts_with = "input")]
    pixels: Option<PathBuf>,
    /// File for the embeddings, `[N, E]` in float32; the names go to a JSON file beside it.
    #[arg(long, value_name = "NPY")]
    output: PathBuf,
    /// Leave the embeddings as they are instead of scaling them to length 1.
    #[arg(long)]
    raw: bool,
}

impl Embed {
    pub fn run(self, device: &Device) -> Result<()> {
        match self {
            Self::Text(text) => text.run(device),
            Self::Image(image) => image.run(device),
        }
    }
}

impl Text {
    fn run(self, device: &Device) -> Result<()> {
        let pipeline = ClipPipeline::load(&self.clip, device)?;
        let mut output = NpyWriter::create(&self.output, &[pipeline.config.projection_dim])?;
        let rows = each_chunk(&self.input, "captions", |captions| {
            let texts: Vec<String> =
                captions.iter().map(|caption| prompted(&self.prompt, caption)).collect();
            let states = pipeline.text_states(&texts, device)?;
            Ok(output.write_rows(&rows(pipeline.model.project_text(states), self.raw))?)
        })?;
        output.finish()?;
        eprintln!("{rows} captions -> {}", self.output.display());
        Ok(())
    }
}

impl Image {
    fn run(self, device: &Device) -> Result<()> {
        let pipeline = ClipPipeline::load(&self.clip, device)?;
        match &self.pixels {
            Some(pixels) => self.prepared(NpyReader::open(pixels)?, pixels, &pipeline, device),
            None => self.files(&pipeline, device),
        }
    }

    fn files(&self, pipeline: &ClipPipeline, device: &Device) -> Result<()> {
        let mut paths = pictures(&self.input)?;
        paths.sort_by_cached_key(|path| (file_name(path), path.clone()));
        let names: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
        if let Some(twice) = names.windows(2).position(|pair| pair[0] == pair[1]) {
            let [a, b] = [&paths[twice], &paths[twice + 1]].map(|path| path.display());
            bail!("{a} and {b} have the same name: embed them into files of their own");
        }
        let mut output = NpyWriter::create(&self.output, &[pipeline.config.projection_dim])?;
        let mut progress = Progress::new("pictures", 0, paths.len());
        let load = |i: usize| Ok(load_image(&paths[i])?);
        let all = 0..paths.len();
        each_batch(all, &pipeline.preprocess, device, load, |range, pixels| -> Result<()> {
            let embedding = pipeline.model.encode_image(pixels).embedding;
            output.write_rows(&rows(embedding, self.raw))?;
            progress.set(range.end, String::new);
            Ok(())
        })?;
        progress.finish("");
        let beside = self.output.with_extension("json");
        write_json(&beside, &names)?;
        output.finish()?;
        eprintln!(
            "{} pictures -> {}, names -> {}",
            names.len(),
            self.output.display(),
            beside.display()
        );
        Ok(())
    }

    fn prepared<R: std::io::Read>(
        &self,
        mut pixels: NpyReader<R>,
        path: &std::path::Path,
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<()> {
        let size = pipeline.preprocess.size as usize;
        if pixels.shape().len() != 4 || pixels.shape()[1..] != [3, size, size] {
            bail!(
                "{}: has the shape {:?}, but this model reads [n, 3, {size}, {size}]",
                path.display(),
                pixels.shape()
            );
        }
        let mut output = NpyWriter::create(&self.output, &[pipeline.config.projection_dim])?;
        let total = pixels.rows();
        let mut progress = Progress::new("pictures", 0, total);
        for done in (0..total).step_by(BATCH) {
            let n = BATCH.min(total - done);
            let batch = TensorData::new(pixels.read_rows(n)?, [n, 3, size, size]);
            let embedding = pipeline.model.encode_image(Tensor::from_data(batch, device)).embedding;
            output.write_rows(&rows(embedding, self.raw))?;
            progress.set(done + n, String::new);
        }
        progress.finish("");
        output.finish()?;
        eprintln!("{total} pictures -> {}", self.output.display());
        Ok(())
    }
}

/// Embeddings on the host, scaled to length 1 unless `raw`.
fn rows(embedding: Tensor<2>, raw: bool) -> Vec<f32> {
    let embedding = if raw { embedding } else { normalize(embedding) };
    embedding.into_data().iter::<f32>().collect()
}
