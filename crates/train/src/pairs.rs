//! Pairs of pictures and texts for the CLIP phase.

use std::path::Path;

use burn::tensor::TensorData;
use finecap_clip::{PreprocessConfig, prompted};
use rand::seq::IndexedRandom;
use rayon::prelude::*;

use crate::TrainError;
use crate::clip::texts_of;
use crate::config::Config;
use crate::data::{Dataset, batch};
use crate::seeds::{Purpose, stream};

/// The pairs of a step.
pub(crate) struct PairBatch {
    /// Names of the images.
    pub names: Vec<String>,
    /// Prepared pictures, `[B, 3, S, S]`.
    pub pixels: TensorData,
    /// One text for each.
    pub texts: Vec<String>,
    /// Pictures that were passed over, and why.
    pub skipped: Vec<String>,
}

/// Where pairs come from: a function of the step, whatever ran before.
pub(crate) trait Pairs: Send {
    /// What is noted in the folder of the phase once it is open, or compared with what was noted.
    fn opened(&self, dir: &Path) -> Result<(), TrainError>;

    /// The pairs of `step` (from 1); steps are asked for in order, beginning anywhere.
    fn batch(
        &mut self,
        step: usize,
        size: usize,
        preprocess: &PreprocessConfig,
    ) -> Result<PairBatch, TrainError>;
}

/// The training images of a data set, every one once in an epoch.
pub(crate) struct DatasetPairs<'a> {
    pub dataset: &'a Dataset,
    pub config: &'a Config,
    pub images: Vec<usize>,
}

impl Pairs for DatasetPairs<'_> {
    fn opened(&self, _: &Path) -> Result<(), TrainError> {
        Ok(())
    }

    fn batch(
        &mut self,
        step: usize,
        size: usize,
        preprocess: &PreprocessConfig,
    ) -> Result<PairBatch, TrainError> {
        let Self { dataset, config, images } = self;
        let chosen = batch(images, config.seed, step - 1, size);
        let pixels = |&image: &usize| -> Result<Vec<f32>, TrainError> {
            Ok(preprocess.pixels(dataset.images[image].source.load()?.as_ref())?)
        };
        let pixels: Vec<Vec<f32>> = chosen.par_iter().map(pixels).collect::<Result<_, _>>()?;
        let mut rng = stream(config.seed, step as u64, Purpose::Captions);
        let text = |&image: &usize| {
            let text = texts_of(&config.clip, dataset, image).choose(&mut rng);
            text.map_or_else(String::new, |text| prompted(&config.clip.prompt, text))
        };
        let texts = chosen.iter().map(text).collect();
        let (names, pixels) = (dataset.names(&chosen), stacked(pixels, preprocess));
        Ok(PairBatch { names, pixels, texts, skipped: Vec::new() })
    }
}

/// Pixels of pictures as one block, `[B, 3, S, S]`.
pub(crate) fn stacked(pixels: Vec<Vec<f32>>, preprocess: &PreprocessConfig) -> TensorData {
    let size = preprocess.size as usize;
    let shape = [pixels.len(), 3, size, size];
    TensorData::new(pixels.concat(), shape)
}
