//! Image features on disk: computed once by a frozen image tower, read through a memory map.
//!
//! A store is a folder of two files. `store.json` holds the names of the images and a
//! [`FeatureSpec`], which says what made the features; `store.f32` or `store.f16` holds one row for
//! each image: the `P · D` values of its grid as little-endian numbers of that kind, then the `E`
//! values of its unit-length embedding, always as float32. While it is made the second file has
//! `.part` behind its name and grows row by row, so that a killed run goes on where it stopped.
//!
//! No store is taken for another: whoever makes, completes or reads one says what it must be, and
//! is refused with the names of all that differs. The pixels are not compared.

mod build;
mod from_rows;
mod header;
mod import;
mod rows;
mod spec;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use finecap_captioner::FeatureSpec;
use finecap_data::{NameClash, Names};
use half::f16;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use self::header::Header;
use crate::TrainError;
use crate::data::Dataset;
pub use build::Extraction;
pub use spec::{clip_features, preprocess_for};

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
    /// Bytes of a number.
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

impl std::fmt::Display for GridType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        })
    }
}

/// Grid and embedding of every image of a data set.
#[derive(Debug)]
pub struct FeatureStore {
    header: Header,
    rows: Bytes,
    /// Row of each image of the data set, or of each that was asked for.
    row_of: Vec<usize>,
    /// Where the embeddings are, if not here.
    embeddings: Option<Box<FeatureStore>>,
}

/// Where the rows are.
#[derive(Debug)]
enum Bytes {
    File(Mmap),
    Memory(Vec<u8>),
}

impl FeatureStore {
    /// Opens a finished store, which may hold more images than the data set. Images are found by
    /// the rule of [`Names`].
    ///
    /// # Errors
    /// A missing, damaged or unfinished store, or one that lacks an image, which is named.
    pub fn open(dir: &Path, dataset: &Dataset) -> Result<Self, TrainError> {
        let mut store = Self::open_all(dir)?;
        let names = || dataset.images.iter().map(|image| image.name.as_str());
        if !names().eq(store.header.images.iter().map(String::as_str)) {
            let found = Names::new(names()).pair(&store.names());
            let found = found.map_err(|clash| clash_in(dir, &clash))?;
            store.row_of = rows(found, names(), dir)?;
        }
        Ok(store)
    }

    /// Opens a finished store for all its images, in their order.
    ///
    /// # Errors
    /// A missing, damaged or unfinished store.
    pub fn open_all(dir: &Path) -> Result<Self, TrainError> {
        let header = Header::read(dir)?;
        let path = header.grid_type.file(dir);
        let file = File::open(&path).map_err(TrainError::io("open", &path))?;
        let length = file.metadata().map_err(TrainError::io("read", &path))?.len();
        let expected = header.bytes();
        if length != expected || length == 0 {
            let problem = format!(
                "has {length} bytes where `store.json` promises {expected}: delete the folder to make it anew"
            );
            return Err(TrainError::file(&path, problem));
        }
        // SAFETY: the map is only read, and a finished store is never changed in place.
        let rows = unsafe { Mmap::map(&file) }.map_err(TrainError::io("map", &path))?;
        Ok(Self::of_all(header, Bytes::File(rows)))
    }

    fn of_all(header: Header, rows: Bytes) -> Self {
        let row_of = (0..header.images.len()).collect();
        Self { header, rows, row_of, embeddings: None }
    }

    /// The same store for these images in this order; `dir` is where it lies, for the error.
    ///
    /// # Errors
    /// An image that it lacks, or whose name could mean two.
    pub fn of(mut self, names: &[&str], dir: &Path) -> Result<Self, TrainError> {
        let index = self.names();
        let found = names.iter().map(|name| index.find(name)).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|clash| clash_in(dir, &clash))?;
        self.row_of = rows(found, names.iter().copied(), dir)?;
        Ok(self)
    }

    fn names(&self) -> Names {
        Names::new(self.header.images.iter().map(String::as_str))
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

    /// What the features are.
    pub fn spec(&self) -> &FeatureSpec {
        &self.header.features
    }

    /// Positions and width of the grid, `P` and `D`.
    pub fn grid(&self) -> [usize; 2] {
        self.header.features.grid
    }

    /// Width `D` of the grid.
    pub fn feature_dim(&self) -> usize {
        self.grid()[1]
    }

    /// Grids of some images of the data set.
    ///
    /// # Shapes
    /// - output: `[B, P, D]`
    pub fn grids(&self, images: &[usize], device: &Device) -> Tensor<3> {
        let [p, d] = self.grid();
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
        let rows: &[u8] = match &self.rows {
            Bytes::File(map) => map,
            Bytes::Memory(rows) => rows,
        };
        &rows[self.row_of[image] * size..][..size]
    }
}

/// The rows that were found for images, or the first image without one.
fn rows<'a>(
    found: Vec<Option<usize>>,
    names: impl Iterator<Item = &'a str>,
    dir: &Path,
) -> Result<Vec<usize>, TrainError> {
    let row = |(row, name): (Option<usize>, &str)| {
        row.ok_or_else(|| {
            let problem = format!(
                "`images`: there are no features of {name}; delete the folder to make them anew"
            );
            TrainError::file(&Header::path(dir), problem)
        })
    };
    found.into_iter().zip(names).map(row).collect()
}

fn clash_in(dir: &Path, clash: &NameClash) -> TrainError {
    TrainError::file(&Header::path(dir), clash.to_string())
}
