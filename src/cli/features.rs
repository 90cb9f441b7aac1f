//! `finecap features extract|import`

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Device;
use clap::{Args, Subcommand, ValueEnum};
use finecap::clip::ClipPipeline;
use finecap::data::ReadOptions;
use finecap::train::{Extraction, FeatureStore, GridType};

use super::data::{ColumnsArgs, dataset, drop_bad_images, pictures_of};

#[derive(Subcommand)]
pub enum Features {
    /// Encode the pictures of a data set; one that was stopped goes on where it was.
    Extract(Extract),
    /// Import features from a folder with one NumPy file for each image, as the paper's code writes
    /// them: ID.npz with an array `feat`, or ID.npy. What is there already is compared with them.
    Import(Import),
}

/// How numbers are kept.
#[derive(Clone, Copy, ValueEnum)]
enum Type {
    /// float16: half the space.
    F16,
    /// float32: as they were computed.
    F32,
}

impl From<Type> for GridType {
    fn from(kind: Type) -> Self {
        match kind {
            Type::F16 => Self::F16,
            Type::F32 => Self::F32,
        }
    }
}

#[derive(Args)]
struct Target {
    /// Captions, in any format (see `finecap data inspect`).
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Folder of the feature store.
    #[arg(long, value_name = "STORE")]
    out: PathBuf,
    /// Number format of the grids on disk.
    #[arg(long = "type", value_name = "TYPE", default_value = "f32")]
    grid_type: Type,
}

#[derive(Args)]
pub struct Extract {
    #[command(flatten)]
    target: Target,
    /// CLIP model that sees.
    #[arg(long, value_name = "DIR")]
    clip: PathBuf,
    /// Folder with the pictures; shards hold their own.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Leave out pictures that cannot be read, after naming them.
    #[arg(long)]
    skip_bad_images: bool,
    /// Squash pictures to this many pixels a side and keep the grid alone, as the captioner of the
    /// paper sees (448 with RN50); by default pictures are prepared as the model asks for.
    #[arg(long, value_name = "PIXELS")]
    size: Option<u32>,
    /// Layer that is kept.
    #[arg(long, value_enum, default_value_t = Layer::Grid)]
    layer: Layer,
}

/// What of the image tower is kept.
#[derive(Clone, Copy, ValueEnum)]
enum Layer {
    /// A ResNet's last stage, or a ViT's last hidden states of the patches.
    Grid,
}

#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    target: Target,
    /// Folder with the files.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Folder with the pictures, where their names in the data set depend on it.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
}

impl Features {
    pub fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        match self {
            Self::Extract(extract) => extract.run(&device()?),
            Self::Import(import) => import.run(),
        }
    }
}

impl Extract {
    fn run(self, device: &Device) -> Result<()> {
        let options =
            ReadOptions { lenient: self.skip_bad_images, ..self.target.columns.options() };
        let images = pictures_of(&self.target.data, self.images.as_deref())?;
        let mut dataset = dataset(&self.target.data, images, &options)?;
        if self.skip_bad_images {
            drop_bad_images(&mut dataset, &self.target.data)?;
        }
        let pipeline = ClipPipeline::load(&self.clip, device)?;
        let Layer::Grid = self.layer;
        let how = Extraction { size: self.size, grid_type: self.target.grid_type.into() };
        let store = FeatureStore::extract(&self.target.out, &dataset, &pipeline, how, device)?;
        report(&store, &self.target.out);
        Ok(())
    }
}

impl Import {
    fn run(self) -> Result<()> {
        let Target { data, columns, out, grid_type } = self.target;
        let dataset = dataset(&data, self.images.as_deref(), &columns.options())?;
        let (store, unused) = FeatureStore::import(&out, &dataset, &self.from, grid_type.into())?;
        if !unused.is_empty() {
            let shown = unused.iter().take(3).map(|path| path.display().to_string());
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if unused.len() > 3 { ", ..." } else { "" };
            eprintln!("{} files are of no image in the data set: {shown}{more}", unused.len());
        }
        report(&store, &out);
        Ok(())
    }
}

fn report(store: &FeatureStore, out: &Path) {
    let [p, d] = store.grid();
    eprintln!("{} images, {p} positions of width {d} -> {}", store.len(), out.display());
}

/// A word about features that cannot be compared with those that a captioner was trained on.
pub fn unsure(captioner: &Path, untold: &[&str]) -> String {
    format!(
        "whether these are the features that {} was trained on is not certain: nothing says their {}",
        captioner.display(),
        untold.join(", ")
    )
}
