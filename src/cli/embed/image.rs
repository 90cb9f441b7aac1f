//! `finecap embed image`

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use finecap::clip::{ClipPipeline, Tower, load_image};
use finecap::data::PictureList;
use finecap::files::write_json;
use finecap::train::{
    KeptRows, NpyReader, PICTURE_BATCH, Progress, clip_features, each_batch, write_npy,
};
use serde_json::json;

use super::rows;
use crate::cli::bad_pictures::{BadPictures, Skipped};

#[derive(Args)]
pub struct Image {
    /// CLIP model.
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Pictures, or folders of pictures.
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required_unless_present = "pixels")]
    input: Vec<PathBuf>,
    /// Prepared pixels `[N, 3, S, S]` instead of pictures.
    #[arg(long, value_name = "NPY", conflicts_with_all = ["input", "resume", "skip_bad"])]
    pixels: Option<PathBuf>,
    /// File for the embeddings, `[N, E]` in float32; the names go to a JSON file beside it.
    #[arg(long, value_name = "NPY")]
    output: PathBuf,
    /// Leave the embeddings as they are instead of scaling them to length 1.
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    bad: BadPictures,
}

impl Image {
    pub fn run(self, device: &Device) -> Result<()> {
        let pipeline = ClipPipeline::load_tower(&self.clip, Tower::Image, device)?;
        match &self.pixels {
            Some(pixels) => self.prepared(pixels, &pipeline, device),
            None => self.files(&pipeline, device),
        }
    }

    fn files(&self, pipeline: &ClipPipeline, device: &Device) -> Result<()> {
        let beside = self.output.with_extension("json");
        if beside == self.output {
            bail!(
                "{}: the names of the pictures go to a JSON file beside the embeddings: call the \
                 output otherwise, as {}",
                self.output.display(),
                self.output.with_extension("npy").display()
            );
        }
        let list = PictureList::read(&self.input)?;
        list.check_names()?;
        for note in &list.notes {
            eprintln!("{note}");
        }
        let (paths, names) = sorted(list);
        let what = json!({
            "model": clip_features(pipeline, &pipeline.preprocess)?,
            "pictures": names,
            "raw": self.raw,
        });
        let width = pipeline.config.projection_dim;
        let mut output =
            KeptRows::begin(&self.output, &what, width, PICTURE_BATCH, self.bad.resume)?;
        let mut skipped = Skipped::new(&self.bad);
        skipped.recall(&mut output, &names)?;
        let total = paths.len();
        let mut progress = Progress::new("pictures", output.rows(), total);
        let load = |i: usize| Ok(load_image(&paths[i])?);
        let rest = output.rows()..total;
        each_batch(rest, &pipeline.preprocess, device, load, |batch| -> Result<()> {
            skipped.note(batch.failed, output.rows(), |line| progress.note(line))?;
            let good = match batch.pixels {
                Some(pixels) => rows(pipeline.model.encode_image(pixels).embedding, self.raw),
                None => Vec::new(),
            };
            let mut good = good.chunks_exact(width.max(1));
            for place in batch.range.clone() {
                match batch.places.binary_search(&place) {
                    Ok(_) => output.push(good.next().unwrap_or_default())?,
                    Err(_) => output.push(&vec![f32::NAN; width])?,
                }
            }
            progress.set(batch.range.end, String::new);
            Ok(())
        })?;
        progress.finish("");
        let kept: Vec<&String> =
            (0..total).filter(|&place| skipped.keeps(place)).map(|place| &names[place]).collect();
        // Killed between the two, the command ends with both when it is called again.
        output.write_npy(&self.output, |place| skipped.keeps(place))?;
        write_json(&beside, &kept)?;
        output.remove()?;
        skipped.report(total);
        let n = kept.len();
        let (output, beside) = (self.output.display(), beside.display());
        eprintln!("{n} pictures -> {output}, names -> {beside}");
        Ok(())
    }

    fn prepared(&self, path: &Path, pipeline: &ClipPipeline, device: &Device) -> Result<()> {
        let mut pixels = NpyReader::open(path)?;
        let size = pipeline.preprocess.size as usize;
        if pixels.shape().len() != 4 || pixels.shape()[1..] != [3, size, size] {
            bail!(
                "{}: has the shape {:?}, but this model reads [n, 3, {size}, {size}]",
                path.display(),
                pixels.shape()
            );
        }
        let total = pixels.rows();
        let mut values = Vec::with_capacity(total * pipeline.config.projection_dim);
        let mut progress = Progress::new("pictures", 0, total);
        for done in (0..total).step_by(PICTURE_BATCH) {
            let n = PICTURE_BATCH.min(total - done);
            let batch = TensorData::new(pixels.read_rows(n)?, [n, 3, size, size]);
            let embedding = pipeline.model.encode_image(Tensor::from_data(batch, device)).embedding;
            values.extend(rows(embedding, self.raw));
            progress.set(done + n, String::new);
        }
        progress.finish("");
        write_npy(&self.output, total, &[pipeline.config.projection_dim], values)?;
        eprintln!("{total} pictures -> {}", self.output.display());
        Ok(())
    }
}

/// Paths and names in the order of the names.
fn sorted(list: PictureList) -> (Vec<PathBuf>, Vec<String>) {
    let mut both: Vec<(String, PathBuf)> = list.names.into_iter().zip(list.paths).collect();
    both.sort();
    both.into_iter().map(|(name, path)| (path, name)).unzip()
}
