//! What is described: picture files, or features made before.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor};
use finecap::captioner::CaptionerConfig;
use finecap::clip::{ClipPipeline, load_image};
use finecap::train::{FeatureStore, PICTURE_BATCH, TrainError, each_batch, preprocess_for};

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
    pub range: Range<usize>,
    pub grid: Option<Tensor<3>>,
    pub places: Vec<usize>,
    pub failed: Vec<TrainError>,
}

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

    /// Hands over the features of all images in order, a few at a time.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn each(&self, device: &Device, mut each: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        match self {
            Self::Store(store, _) => {
                for start in (0..store.len()).step_by(PICTURE_BATCH) {
                    let range = start..store.len().min(start + PICTURE_BATCH);
                    let places: Vec<usize> = range.clone().collect();
                    let grid = Some(store.grids(&places, device));
                    each(Batch { range, grid, places, failed: Vec::new() })?;
                }
                Ok(())
            }
            Self::Pictures(paths, pipeline, _) => {
                let load = |i: usize| Ok(load_image(&paths[i])?);
                each_batch(0..paths.len(), &pipeline.preprocess, device, load, |batch| {
                    let grid = batch.pixels.map(|pixels| pipeline.model.encode_grid(pixels));
                    let failed = batch.failed.into_iter().map(|(_, error)| error).collect();
                    each(Batch { range: batch.range, grid, places: batch.places, failed })
                })
            }
        }
    }
}
