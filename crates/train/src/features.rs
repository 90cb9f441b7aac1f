//! Image features on disk: computed once by a frozen image tower, read through a memory map.
//!
//! A store is a folder of two files. `store.json` tells the shapes, the names of the images and
//! the fingerprint of the weights; `store.f32` holds one row of little-endian float32 for each
//! image: the `P · D` values of its grid, then the `E` values of its unit-length embedding. While
//! it is made the second file is called `store.f32.part` and grows row by row, so that a killed
//! run goes on where it stopped.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use finecap_clip::ClipPipeline;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::{read_json, write_json};
use crate::data::Dataset;
use crate::fingerprint::weights_fingerprint;
use crate::progress::Progress;

/// Images encoded together.
const BATCH: usize = 32;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// `P` and `D`.
    grid: [usize; 2],
    /// `E`.
    embedding: usize,
    /// Fingerprint of the CLIP weights; empty where unknown.
    #[serde(default)]
    weights: String,
    /// Names of the images, row by row.
    images: Vec<String>,
}

impl Header {
    fn row(&self) -> usize {
        self.grid[0] * self.grid[1] + self.embedding
    }
}

/// Grid and embedding of every image of a data set.
#[derive(Debug)]
pub struct FeatureStore {
    header: Header,
    rows: Mmap,
    /// Row of each image of the data set, or of each that was asked for.
    row_of: Vec<usize>,
}

impl FeatureStore {
    /// Opens the store in `dir` for a data set, making or completing it with `pipeline`.
    ///
    /// # Errors
    /// A store made with other weights or for other images, an unreadable picture, a full disk.
    pub fn open_or_build(
        dir: &Path,
        dataset: &Dataset,
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let vision = &pipeline.config.vision_config;
        let header = Header {
            grid: [vision.positions(), vision.grid_width()],
            embedding: pipeline.config.projection_dim,
            weights: weights_fingerprint(&pipeline.model),
            images: dataset.images.iter().map(|image| image.name.clone()).collect(),
        };
        let json = dir.join("store.json");
        if json.exists() {
            let found: Header = read_json(&json)?;
            if !found.weights.is_empty() && found.weights != header.weights {
                let problem = "`weights`: this feature store was made with other CLIP weights; \
                               delete the folder or name another one with --features";
                return Err(TrainError::file(&json, problem));
            }
            if dir.join("store.f32").exists() {
                return Self::open(dir, dataset);
            }
            if found != header {
                let problem = "`images`: this unfinished feature store is for other images; \
                               delete the folder or name another one with --features";
                return Err(TrainError::file(&json, problem));
            }
        } else {
            fs::create_dir_all(dir).map_err(TrainError::io("create", dir))?;
            write_json(&json, &header)?;
        }
        build(dir, &header, dataset, pipeline, device)?;
        Self::open(dir, dataset)
    }

    /// Opens a finished store, which may hold more images than the data set.
    ///
    /// # Errors
    /// A missing, damaged or unfinished store, or one that lacks an image, which is named.
    pub fn open(dir: &Path, dataset: &Dataset) -> Result<Self, TrainError> {
        let names: Vec<&str> = dataset.images.iter().map(|image| image.name.as_str()).collect();
        Self::open_all(dir)?.of(&names, dir)
    }

    /// Opens a finished store for all its images, in their order.
    ///
    /// # Errors
    /// A missing, damaged or unfinished store.
    pub fn open_all(dir: &Path) -> Result<Self, TrainError> {
        let json = dir.join("store.json");
        let header: Header = read_json(&json)?;
        let path = dir.join("store.f32");
        let file = File::open(&path).map_err(TrainError::io("open", &path))?;
        let length = file.metadata().map_err(TrainError::io("read", &path))?.len();
        let expected = (header.images.len() * header.row() * 4) as u64;
        if length != expected || length == 0 {
            let problem = format!(
                "has {length} bytes where `store.json` promises {expected}: delete the folder to make it anew"
            );
            return Err(TrainError::file(&path, problem));
        }
        // SAFETY: the map is only read, and a finished store is never changed in place.
        let rows = unsafe { Mmap::map(&file) }.map_err(TrainError::io("map", &path))?;
        let row_of = (0..header.images.len()).collect();
        Ok(Self { header, rows, row_of })
    }

    /// The same store for these images in this order; `dir` is where it lies, for the error.
    ///
    /// # Errors
    /// An image that it lacks.
    pub fn of(mut self, names: &[&str], dir: &Path) -> Result<Self, TrainError> {
        let images = self.header.images.iter().enumerate();
        let by_name: HashMap<&str, usize> =
            images.map(|(row, name)| (name.as_str(), row)).collect();
        let row = |name: &&str| {
            by_name.get(name).copied().ok_or_else(|| {
                let problem = format!(
                    "`images`: there are no features of {name}; delete the folder to make them anew"
                );
                TrainError::file(&dir.join("store.json"), problem)
            })
        };
        self.row_of = names.iter().map(row).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Name of an image, as the store knows it.
    pub fn name(&self, image: usize) -> &str {
        &self.header.images[self.row_of[image]]
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.row_of.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.row_of.is_empty()
    }

    /// Width `D` of the grid.
    pub fn feature_dim(&self) -> usize {
        self.header.grid[1]
    }

    /// Fingerprint of the CLIP weights that made the features; empty where unknown.
    pub fn weights(&self) -> &str {
        &self.header.weights
    }

    /// Grids of some images of the data set.
    ///
    /// # Shapes
    /// - output: `[B, P, D]`
    pub fn grids(&self, images: &[usize], device: &Device) -> Tensor<3> {
        let [p, d] = self.header.grid;
        let data = TensorData::new(self.values(images, 0, p * d), [images.len(), p, d]);
        Tensor::from_data(data, device)
    }

    /// Unit-length embeddings of some images of the data set.
    ///
    /// # Shapes
    /// - output: `[B, E]`
    pub fn embeddings(&self, images: &[usize], device: &Device) -> Tensor<2> {
        let ([p, d], e) = (self.header.grid, self.header.embedding);
        let data = TensorData::new(self.values(images, p * d, e), [images.len(), e]);
        Tensor::from_data(data, device)
    }

    /// `count` values of each image's row, from `first` on.
    fn values(&self, images: &[usize], first: usize, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(images.len() * count);
        for &image in images {
            let start = (self.row_of[image] * self.header.row() + first) * 4;
            let bytes = self.rows[start..start + count * 4].chunks_exact(4);
            values.extend(bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        values
    }
}

/// Appends the rows that are missing to the unfinished file, then gives it its final name.
fn build(
    dir: &Path,
    header: &Header,
    dataset: &Dataset,
    pipeline: &ClipPipeline,
    device: &Device,
) -> Result<(), TrainError> {
    let part: PathBuf = dir.join("store.f32.part");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&part)
        .map_err(TrainError::io("open", &part))?;
    let row_bytes = (header.row() * 4) as u64;
    let length = file.metadata().map_err(TrainError::io("read", &part))?.len();
    let mut done = (length / row_bytes) as usize;
    // A kill may have cut the last row short.
    file.set_len(done as u64 * row_bytes).map_err(TrainError::io("write", &part))?;

    let total = dataset.images.len();
    let mut progress = Progress::new("features", done, total);
    while done < total {
        let batch: Vec<usize> = (done..total.min(done + BATCH)).collect();
        let images = dataset.load_images(&batch)?;
        let features = pipeline.embed_images(&images, device)?;
        let n = batch.len();
        let grid = features.grid.reshape([n, header.grid[0] * header.grid[1]]);
        let rows = Tensor::cat(vec![grid, features.embedding], 1).into_data();
        let bytes: Vec<u8> = rows.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes).map_err(TrainError::io("write", &part))?;
        done += n;
        progress.set(done, String::new);
    }
    progress.finish("");
    file.sync_all().map_err(TrainError::io("flush", &part))?;
    let path = dir.join("store.f32");
    fs::rename(&part, &path).map_err(TrainError::io("rename", &part))
}
