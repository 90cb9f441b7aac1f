//! CLIP models.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use burn::tensor::{Device, Tensor, TensorData};
use finecap::clip::{ClipPipeline, normalize, prompted};
use finecap::reward::{
    Candidate, ClipScore, ClipScoreConfig, ContrastiveReward, GrammarScorer, RefClipDefinition,
    RefClipScore, Reward, TextEncoder,
};
use finecap::train::{PICTURE_BATCH, RunFolder, each_batch, grammar_probabilities};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::pictures::Input;
use crate::work::work;

/// Captions between two looks at the clock.
const CHUNK: usize = 1024;

/// Where a model computes: a device, and on CPUs a number of threads.
#[derive(Clone)]
pub struct Place {
    pub device: Device,
    pool: Option<Arc<ThreadPool>>,
}

impl Place {
    pub fn new(device: Option<&str>, threads: Option<usize>) -> Result<Self> {
        let pool = match threads {
            None => None,
            Some(0) => return Err(anyhow!("threads must be at least 1")),
            Some(n) => Some(Arc::new(ThreadPoolBuilder::new().num_threads(n).build()?)),
        };
        Ok(Self { device: finecap::device::choose(device)?, pool })
    }

    /// Runs on the threads of this place.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(job),
            None => job(),
        }
    }
}

/// Both towers of a CLIP model.
#[pyclass(frozen, module = "finecap._finecap")]
pub struct Clip {
    pipeline: ClipPipeline,
    place: Place,
}

/// One score for each caption.
type Column<'py> = Bound<'py, PyArray1<f32>>;

/// Rows of the same length, and what could not be read.
type Rows<'py> = (Bound<'py, PyArray2<f32>>, BTreeMap<usize, String>);

#[pymethods]
impl Clip {
    #[staticmethod]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        device: Option<String>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        work(py, None, move |_| {
            let place = Place::new(device.as_deref(), threads)?;
            let pipeline = place.run(|| ClipPipeline::load(&path, &place.device))?;
            Ok(Self { pipeline, place })
        })
    }

    /// Length of an embedding.
    #[getter]
    fn width(&self) -> usize {
        self.pipeline.config.projection_dim
    }

    /// Side of the square that pictures are cut to, in pixels.
    #[getter]
    fn image_size(&self) -> u32 {
        self.pipeline.preprocess.size
    }

    /// Token ids, without padding.
    fn tokenize(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<Vec<Vec<u32>>> {
        let pipeline = self.pipeline.clone();
        work(py, None, move |_| {
            let ids = pipeline.tokenizer.encode_batch(&texts, pipeline.model.context_length())?;
            Ok(ids)
        })
    }

    /// `[N, E]`, rows of length 1.
    fn embed_texts<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        prompt: String,
        progress: bool,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (pipeline, place, width) = (self.pipeline.clone(), self.place.clone(), self.width());
        let count = texts.len();
        let values = work(py, progress.then_some("captions"), move |steps| {
            steps.expect(texts.len());
            let mut values: Vec<f32> = Vec::with_capacity(texts.len() * width);
            for (chunk, texts) in texts.chunks(CHUNK).enumerate() {
                let texts: Vec<String> = texts.iter().map(|text| prompted(&prompt, text)).collect();
                let found = place.run(|| pipeline.embed_texts(&texts, &place.device))?;
                values.extend(found.into_data().iter::<f32>());
                steps.reach(chunk * CHUNK + texts.len())?;
            }
            Ok(values)
        })?;
        matrix(py, values, count, width)
    }

    /// `[N, E]`, rows of length 1, or NaN for what could not be read. In whole batches, where few are left
    /// over, the last one is repeated.
    fn embed_images<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Input>,
        whole_batches: bool,
        progress: bool,
    ) -> PyResult<Rows<'py>> {
        let (pipeline, place, width) = (self.pipeline.clone(), self.place.clone(), self.width());
        let count = images.len();
        let (values, errors) = work(py, progress.then_some("pictures"), move |steps| {
            steps.expect(images.len());
            let mut values = vec![f32::NAN; images.len() * width];
            let mut errors = BTreeMap::new();
            let load = |i: usize| images[i].read();
            place.run(|| {
                each_batch(0..images.len(), &pipeline.preprocess, &place.device, load, |batch| {
                    let failed = batch.failed.iter();
                    errors.extend(failed.map(|(at, error)| (*at, error.to_string())));
                    if let Some(pixels) = batch.pixels {
                        let count = batch.places.len();
                        let pixels = match whole_batches && count < PICTURE_BATCH {
                            true => {
                                let last = pixels.clone().narrow(0, count - 1, 1);
                                let more = last.repeat_dim(0, PICTURE_BATCH - count);
                                Tensor::cat(vec![pixels, more], 0)
                            }
                            false => pixels,
                        };
                        let rows = pipeline.model.encode_image(pixels).embedding;
                        let rows = normalize(rows.narrow(0, 0, count));
                        let rows: Vec<f32> = rows.into_data().iter::<f32>().collect();
                        for (&at, row) in batch.places.iter().zip(rows.chunks_exact(width)) {
                            values[at * width..][..width].copy_from_slice(row);
                        }
                    }
                    steps.reach(batch.range.end)
                })
            })?;
            Ok((values, errors))
        })?;
        Ok((matrix(py, values, count, width)?, errors))
    }

    /// Scores of captions about embedded pictures, `image_of[i]` being the picture of caption `i`:
    /// CLIP-S, and RefCLIP-S where there are references, or the contrastive reward alone.
    #[allow(clippy::too_many_arguments)]
    fn score<'py>(
        &self,
        py: Python<'py>,
        images: PyReadonlyArray2<'_, f32>,
        image_of: Vec<usize>,
        captions: Vec<String>,
        references: Option<Vec<Vec<String>>>,
        prompt: String,
        weight: f32,
        contrastive: bool,
    ) -> PyResult<(Column<'py>, Option<Column<'py>>)> {
        let (pipeline, place) = (self.pipeline.clone(), self.place.clone());
        let shape = [images.shape()[0], images.shape()[1]];
        let images: Vec<f32> = images.as_array().iter().copied().collect();
        let (first, second) = work(py, None, move |_| {
            place.run(|| {
                let images = Tensor::from_data(TensorData::new(images, shape), &place.device);
                let candidates: Vec<Candidate> = (image_of.iter().zip(&captions))
                    .map(|(&image, caption)| Candidate::new(image, caption))
                    .collect();
                let config = ClipScoreConfig { prompt, weight };
                let encoder = TextEncoder::new(pipeline, &place.device);
                let mut clip_s = ClipScore::with_encoder(config, encoder, images);
                if contrastive {
                    return Ok((ContrastiveReward::new(clip_s).score(&candidates)?, None));
                }
                let scores = clip_s.score(&candidates)?;
                let Some(references) = references else { return Ok((scores, None)) };
                let mut with = RefClipScore::new(clip_s, RefClipDefinition::Hessel, &references)?;
                Ok((scores, Some(with.score(&candidates)?)))
            })
        })?;
        let array = |values| PyArray1::from_vec(py, values);
        Ok((array(first), second.map(array)))
    }
}

/// Tells sentences from broken ones.
#[pyclass(frozen, module = "finecap._finecap")]
pub struct GrammarHead {
    scorer: GrammarScorer,
    place: Place,
}

#[pymethods]
impl GrammarHead {
    #[staticmethod]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        device: Option<String>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        work(py, None, move |_| {
            let place = Place::new(device.as_deref(), threads)?;
            let scorer = GrammarScorer::load(&RunFolder::new(&path).grammar()?, &place.device)?;
            Ok(Self { scorer, place })
        })
    }

    /// Probability of each caption.
    fn probabilities<'py>(
        &self,
        py: Python<'py>,
        captions: Vec<String>,
        progress: bool,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (scorer, place) = (self.scorer.clone(), self.place.clone());
        let scores = work(py, progress.then_some("captions"), move |steps| {
            steps.expect(captions.len());
            let mut scores = Vec::with_capacity(captions.len());
            for chunk in captions.chunks(CHUNK) {
                scores.extend(place.run(|| grammar_probabilities(&scorer, chunk, &place.device))?);
                steps.reach(scores.len())?;
            }
            Ok(scores)
        })?;
        Ok(PyArray1::from_vec(py, scores))
    }
}

fn matrix(
    py: Python<'_>,
    values: Vec<f32>,
    rows: usize,
    width: usize,
) -> PyResult<Bound<'_, PyArray2<f32>>> {
    PyArray1::from_vec(py, values).reshape([rows, width])
}
