//! Image features on disk: computed once by a frozen image tower, read through a memory map.
//!
//! A store is a folder of two files. `store.json` holds the shapes, the names of the images and
//! the fingerprint of the weights; `store.f32` or `store.f16` holds one row for each image: the
//! `P · D` values of its grid as little-endian numbers of that kind, then the `E` values of its
//! unit-length embedding, always as float32. While it is made the second file has `.part` behind
//! its name and grows row by row, so that a killed run goes on where it stopped.

mod build;
mod import;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::read_json;
use crate::data::Dataset;
pub use build::Extraction;

/// How a store keeps its grids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GridType {
    /// Half the space; values are rounded to 11 bits.
    F16,
    /// As they were computed.
    #[default]
    F32,
}

impl GridType {
    fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// The file of rows in a store's folder.
    fn file(self, dir: &Path) -> PathBuf {
        dir.join(match self {
            Self::F16 => "store.f16",
            Self::F32 => "store.f32",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// `P` and `D`.
    grid: [usize; 2],
    /// `E`; 0 where the store is only for seeing.
    embedding: usize,
    #[serde(default, rename = "type")]
    grid_type: GridType,
    /// Fingerprint of the CLIP weights; empty where unknown.
    #[serde(default)]
    weights: String,
    /// Names of the images, row by row.
    images: Vec<String>,
}

impl Header {
    fn grid_bytes(&self) -> usize {
        self.grid[0] * self.grid[1] * self.grid_type.bytes()
    }

    fn row_bytes(&self) -> usize {
        self.grid_bytes() + self.embedding * 4
    }
}

/// Grid and embedding of every image of a data set.
#[derive(Debug)]
pub struct FeatureStore {
    header: Header,
    rows: Mmap,
    /// Row of each image of the data set, or of each that was asked for.
    row_of: Vec<usize>,
    /// Where the embeddings are, if not here.
    embeddings: Option<Box<FeatureStore>>,
}

impl FeatureStore {
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
        let header: Header = read_json(&dir.join("store.json"))?;
        let path = header.grid_type.file(dir);
        let file = File::open(&path).map_err(TrainError::io("open", &path))?;
        let length = file.metadata().map_err(TrainError::io("read", &path))?.len();
        let expected = (header.images.len() * header.row_bytes()) as u64;
        if length != expected || length == 0 {
            let problem = format!(
                "has {length} bytes where `store.json` promises {expected}: delete the folder to make it anew"
            );
            return Err(TrainError::file(&path, problem));
        }
        // SAFETY: the map is only read, and a finished store is never changed in place.
        let rows = unsafe { Mmap::map(&file) }.map_err(TrainError::io("map", &path))?;
        let row_of = (0..header.images.len()).collect();
        Ok(Self { header, rows, row_of, embeddings: None })
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

    /// Positions and width of the grid, `P` and `D`.
    pub fn grid(&self) -> [usize; 2] {
        self.header.grid
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
        let mut values = Vec::with_capacity(images.len() * p * d);
        for &image in images {
            let bytes = &self.row(image)[..self.header.grid_bytes()];
            match self.header.grid_type {
                GridType::F16 => {
                    let halves = bytes.as_chunks().0.iter();
                    values.extend(halves.map(|half| f16::from_le_bytes(*half).to_f32()));
                }
                GridType::F32 => {
                    values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
                }
            }
        }
        Tensor::from_data(TensorData::new(values, [images.len(), p, d]), device)
    }

    /// Unit-length embeddings of some images of the data set.
    ///
    /// # Shapes
    /// - output: `[B, E]`
    pub fn embeddings(&self, images: &[usize], device: &Device) -> Tensor<2> {
        if let Some(store) = &self.embeddings {
            return store.embeddings(images, device);
        }
        let mut values = Vec::with_capacity(images.len() * self.header.embedding);
        for &image in images {
            let bytes = self.row(image)[self.header.grid_bytes()..].as_chunks().0;
            values.extend(bytes.iter().map(|b| f32::from_le_bytes(*b)));
        }
        Tensor::from_data(TensorData::new(values, [images.len(), self.header.embedding]), device)
    }

    fn row(&self, image: usize) -> &[u8] {
        let size = self.header.row_bytes();
        &self.rows[self.row_of[image] * size..][..size]
    }
}
