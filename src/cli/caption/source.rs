//! What is described: picture files, or features made before.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use finecap::captioner::CaptionerConfig;
use finecap::clip::{ClipPipeline, load_image};
use finecap::train::{FeatureStore, TrainError, preprocess_for};
use rayon::prelude::*;

/// Where image features come from.
pub enum Source {
    /// Picture files, the CLIP model that sees them, and its folder.
    Pictures(Vec<PathBuf>, Box<ClipPipeline>, PathBuf),
    /// A feature store and its folder.
    Store(Box<FeatureStore>, PathBuf),
}

/// What a batch of images gave: features `[B, P, F]`, the images' places, and what could not be
/// read.
pub struct Batch {
    pub grid: Option<Tensor<3>>,
    pub places: Vec<u64>,
    pub failed: Vec<String>,
}

/// Pixels of the pictures of a batch.
pub type Pixels = Vec<Result<Vec<f32>, TrainError>>;

impl Source {
    /// A feature store, of which these images are described, or all.
    pub fn store(dir: &Path, images: &[PathBuf]) -> Result<Self> {
        let store = FeatureStore::open_all(dir)?;
        let names: Vec<_> = images.iter().map(|name| name.to_string_lossy()).collect();
        let names: Vec<&str> = names.iter().map(|name| name.as_ref()).collect();
        let store = if names.is_empty() { store } else { store.of(&names, dir)? };
        Ok(Self::Store(Box::new(store), dir.to_path_buf()))
    }

    /// Makes sure that the captioner gets features like those it was trained on: pictures are
    /// prepared as it asks for. Returns what cannot be compared.
    ///
    /// # Errors
    /// Features that are known to be others.
    pub fn fit(&mut self, captioner: &CaptionerConfig) -> Result<Vec<&'static str>> {
        match self {
            Self::Pictures(_, pipeline, dir) => {
                let fitted = preprocess_for(captioner, pipeline);
                let (preprocess, untold) = fitted.with_context(|| {
                    format!("--clip {} is not for this captioner", dir.display())
                })?;
                pipeline.preprocess = preprocess;
                Ok(untold)
            }
            Self::Store(store, dir) => {
                let untold = captioner.check_spec(store.spec());
                untold.with_context(|| {
                    format!("--features {} is not for this captioner", dir.display())
                })
            }
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::Pictures(paths, ..) => paths.len(),
            Self::Store(store, _) => store.len(),
        }
    }

    /// Name of an image, as it is shown.
    pub fn name(&self, image: usize) -> String {
        match self {
            Self::Pictures(paths, ..) => paths[image].display().to_string(),
            Self::Store(store, _) => store.name(image).to_string(),
        }
    }

    /// What can be done ahead: reading and preparing pictures, on all cores.
    pub fn read(&self, images: Range<usize>) -> Pixels {
        match self {
            Self::Pictures(paths, pipeline, _) => {
                let pixels = |path: &PathBuf| Ok(pipeline.preprocess.pixels(&load_image(path)?)?);
                paths[images].par_iter().map(pixels).collect()
            }
            Self::Store(..) => Vec::new(),
        }
    }

    /// Features of the images of `images`, which were read ahead.
    pub fn batch(&self, images: Range<usize>, read: Pixels, device: &Device) -> Batch {
        let mut batch = Batch { grid: None, places: Vec::new(), failed: Vec::new() };
        match self {
            Self::Store(store, _) => {
                let places: Vec<usize> = images.collect();
                batch.grid = Some(store.grids(&places, device));
                batch.places = places.into_iter().map(|place| place as u64).collect();
            }
            Self::Pictures(_, pipeline, _) => {
                let mut values = Vec::new();
                for (place, pixels) in images.zip(read) {
                    match pixels {
                        Ok(pixels) => {
                            batch.places.push(place as u64);
                            values.extend(pixels);
                        }
                        Err(error) => batch.failed.push(error.to_string()),
                    }
                }
                if !batch.places.is_empty() {
                    let size = pipeline.preprocess.size as usize;
                    let values = TensorData::new(values, [batch.places.len(), 3, size, size]);
                    let pixels = Tensor::from_data(values, device);
                    batch.grid = Some(pipeline.model.encode_grid(pixels));
                }
            }
        }
        batch
    }
}
