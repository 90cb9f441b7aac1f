//! Making a store, or going on with one that was not finished.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use finecap_clip::{ClipPipeline, Fit, PreprocessConfig, VisionConfig, normalize};
use half::f16;

use super::{FeatureStore, GridType, Header};
use crate::TrainError;
use crate::checkpoint::{read_json, write_json};
use crate::data::Dataset;
use crate::encode::each_batch;
use crate::fingerprint::weights_fingerprint;
use crate::progress::Progress;

/// Pixels that one position of a ResNet's grid stands for, each way.
const STRIDE: usize = 32;

/// What is extracted, and how it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extraction {
    /// Squash pictures to this many pixels a side and keep only the grid, as the captioner's input
    /// in the paper (448); otherwise pictures are prepared as the model asks for, and the embedding
    /// is kept too.
    pub size: Option<u32>,
    /// How grids are kept.
    pub grid_type: GridType,
}

impl FeatureStore {
    /// Opens the store in `dir` for a data set, making or completing it with `pipeline`.
    ///
    /// A store without embeddings, imported or of a size of its own, gives the grids whatever model
    /// made it; the embeddings of `pipeline` are kept in a store of their own inside its folder.
    ///
    /// # Errors
    /// A store made with other weights or for other images, an unreadable picture, a full disk.
    pub fn open_or_build(
        dir: &Path,
        dataset: &Dataset,
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let json = dir.join("store.json");
        if !json.exists() {
            return Self::extract(dir, dataset, pipeline, Extraction::default(), device);
        }
        let found: Header = read_json(&json)?;
        if found.embedding > 0 {
            let how = Extraction { size: None, grid_type: found.grid_type };
            return Self::extract(dir, dataset, pipeline, how, device);
        }
        let mut store = Self::open(dir, dataset)?;
        let header = header(dataset, pipeline, GridType::F32);
        let inner = dir.join(format!("embeddings-{}", header.weights));
        let header = Header { grid: [0, 0], ..header };
        let preprocess = &pipeline.preprocess;
        let embeddings = complete(&inner, header, dataset, pipeline, preprocess, device)?;
        store.embeddings = Some(Box::new(embeddings));
        Ok(store)
    }

    /// Features of every image of a data set by `pipeline`; a finished store is opened, an
    /// unfinished one gone on with.
    ///
    /// # Errors
    /// Those of [`open_or_build`](Self::open_or_build), a store of the other type, and a size that
    /// the model cannot read.
    pub fn extract(
        dir: &Path,
        dataset: &Dataset,
        pipeline: &ClipPipeline,
        how: Extraction,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let mut header = header(dataset, pipeline, how.grid_type);
        let mut preprocess = pipeline.preprocess.clone();
        if let Some(size) = how.size {
            header.grid[0] = positions(&pipeline.config.vision_config, size)?;
            header.embedding = 0;
            preprocess.size = size;
            preprocess.fit = Fit::Squash;
        }
        complete(dir, header, dataset, pipeline, &preprocess, device)
    }
}

/// Positions of the grid of a picture of `size` pixels a side.
fn positions(vision: &VisionConfig, size: u32) -> Result<usize, TrainError> {
    let problem = match vision {
        VisionConfig::ResNet(_) => {
            let side = size as usize / STRIDE;
            if size as usize == side * STRIDE && side > 0 && size <= PreprocessConfig::MAX_SIZE {
                return Ok(side * side);
            }
            let most = PreprocessConfig::MAX_SIZE;
            format!("is {size}, but a ResNet reads multiples of {STRIDE} up to {most}")
        }
        VisionConfig::Vit(_) if size as usize == vision.image_size() => {
            return Ok(vision.positions());
        }
        VisionConfig::Vit(_) => format!(
            "is {size}, but this ViT reads {} pixels only: leave it out, or take a ResNet",
            vision.image_size()
        ),
    };
    Err(TrainError::setting("size", problem))
}

fn header(dataset: &Dataset, pipeline: &ClipPipeline, grid_type: GridType) -> Header {
    let vision = &pipeline.config.vision_config;
    Header {
        grid: [vision.positions(), vision.grid_width()],
        embedding: pipeline.config.projection_dim,
        grid_type,
        weights: weights_fingerprint(&pipeline.model),
        images: dataset.images.iter().map(|image| image.name.clone()).collect(),
    }
}

/// Opens the store that `header` describes, or creates or completes it.
fn complete(
    dir: &Path,
    header: Header,
    dataset: &Dataset,
    pipeline: &ClipPipeline,
    preprocess: &PreprocessConfig,
    device: &Device,
) -> Result<FeatureStore, TrainError> {
    let Some(mut rows) = Rows::begin(dir, &header)? else {
        return FeatureStore::open(dir, dataset);
    };
    let (first, total) = (rows.done, header.images.len());
    let mut progress = Progress::new("features", first, total);
    let started = Instant::now();
    let load = |i: usize| dataset.images[i].source.load();
    let todo = first..total;
    let (cells, e) = (header.grid[0] * header.grid[1], header.embedding);
    each_batch(todo, preprocess, device, load, |range: Range<usize>, pixels| {
        let (mut grid, mut embedding) = (Vec::<f32>::new(), Vec::<f32>::new());
        if e == 0 {
            grid = pipeline.model.encode_grid(pixels).into_data().iter().collect();
        } else {
            let features = pipeline.model.encode_image(pixels);
            embedding = normalize(features.embedding).into_data().iter().collect();
            if cells > 0 {
                grid = features.grid.into_data().iter().collect();
            }
        }
        for i in 0..range.len() {
            rows.push(&grid[i * cells..][..cells], &embedding[i * e..][..e])?;
        }
        let rate = (range.end - first) as f64 / started.elapsed().as_secs_f64();
        progress.set(range.end, || format!("{rate:.1} images/s"));
        Ok::<_, TrainError>(())
    })?;
    let rate = (total - first) as f64 / started.elapsed().as_secs_f64();
    progress.finish(&format!("{rate:.1} images/s"));
    rows.finish()?;
    FeatureStore::open(dir, dataset)
}

/// The unfinished file of a store, to which rows are appended.
pub(super) struct Rows {
    file: File,
    part: PathBuf,
    path: PathBuf,
    grid_type: GridType,
    /// Rows that are there.
    pub(super) done: usize,
}

impl Rows {
    /// Begins a store or goes on with it; `None` where it is finished.
    ///
    /// # Errors
    /// A store of other weights, another type, or unfinished for other images.
    pub(super) fn begin(dir: &Path, header: &Header) -> Result<Option<Self>, TrainError> {
        let json = dir.join("store.json");
        let path = header.grid_type.file(dir);
        if json.exists() {
            let found: Header = read_json(&json)?;
            let remedy = "delete the folder or name another one";
            if found.weights != header.weights && !found.weights.is_empty() {
                let problem = format!(
                    "`weights`: this feature store was made with other CLIP weights; {remedy}"
                );
                return Err(TrainError::file(&json, problem));
            }
            if found.grid_type != header.grid_type {
                let problem = format!("`type`: this feature store has another one; {remedy}");
                return Err(TrainError::file(&json, problem));
            }
            if path.exists() {
                return Ok(None);
            }
            if found != *header {
                let problem = format!(
                    "`images`: this unfinished feature store is for other images; {remedy}"
                );
                return Err(TrainError::file(&json, problem));
            }
        } else {
            fs::create_dir_all(dir).map_err(TrainError::io("create", dir))?;
            write_json(&json, header)?;
        }
        let part = path.with_added_extension("part");
        let file = OpenOptions::new().create(true).append(true).open(&part);
        let file = file.map_err(TrainError::io("open", &part))?;
        let length = file.metadata().map_err(TrainError::io("read", &part))?.len();
        let row = header.row_bytes() as u64;
        // A kill may have cut the last row short.
        let done = (length / row).min(header.images.len() as u64);
        file.set_len(done * row).map_err(TrainError::io("write", &part))?;
        let done = done as usize;
        Ok(Some(Self { file, part, path, grid_type: header.grid_type, done }))
    }

    /// Appends the row of the next image.
    ///
    /// # Errors
    /// A full disk; a number that float16 cannot hold.
    pub(super) fn push(&mut self, grid: &[f32], embedding: &[f32]) -> Result<(), TrainError> {
        let mut bytes = Vec::with_capacity(4 * (grid.len() + embedding.len()));
        match self.grid_type {
            GridType::F16 => {
                if let Some(large) = grid.iter().find(|x| !f16::from_f32(**x).is_finite()) {
                    let problem = format!("cannot hold {large} as float16: use --type f32");
                    return Err(TrainError::file(&self.path, problem));
                }
                bytes.extend(grid.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()));
            }
            GridType::F32 => bytes.extend(grid.iter().flat_map(|x| x.to_le_bytes())),
        }
        bytes.extend(embedding.iter().flat_map(|x| x.to_le_bytes()));
        self.file.write_all(&bytes).map_err(TrainError::io("write", &self.part))?;
        self.done += 1;
        Ok(())
    }

    /// Flushes the rows to disk and gives their file its name.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub(super) fn finish(self) -> Result<(), TrainError> {
        self.file.sync_all().map_err(TrainError::io("flush", &self.part))?;
        fs::rename(&self.part, &self.path).map_err(TrainError::io("rename", &self.part))
    }
}
