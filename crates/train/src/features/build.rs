//! Making a store with a CLIP model, or going on with one that was not finished.

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use finecap_captioner::{FeatureDifference, FeatureSpec};
use finecap_clip::{ClipPipeline, Fit, PreprocessConfig, normalize};

use super::rows::{Rows, encode};
use super::spec::clip_features;
use super::{FeatureStore, GridType, Header};
use crate::TrainError;
use crate::data::Dataset;
use crate::encode::{PICTURE_BATCH, each_batch};
use crate::fingerprint::short_hash;
use crate::progress::Progress;
use crate::stop::is_asked_to_stop;

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
    /// A store made with another model or from pictures prepared otherwise, or for other images;
    /// an unreadable picture, a full disk.
    pub fn open_or_build(
        dir: &Path,
        dataset: &Dataset,
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<Self, TrainError> {
        if !Header::path(dir).exists() {
            return Self::extract(dir, dataset, pipeline, Extraction::default(), device);
        }
        let found = Header::read(dir)?;
        if found.embedding > 0 {
            let how = Extraction { size: None, grid_type: found.grid_type };
            return Self::extract(dir, dataset, pipeline, how, device);
        }
        Self::open(dir, dataset)?.with_embeddings(dir, dataset, pipeline, device)
    }

    /// The same grids with the embeddings of `pipeline`, which rewards and scores are computed
    /// with. They are kept in a store of their own inside the folder `dir`, one for each CLIP.
    ///
    /// # Errors
    /// An unreadable picture, a full disk.
    pub fn with_embeddings(
        mut self,
        dir: &Path,
        dataset: &Dataset,
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let preprocess = &pipeline.preprocess;
        let features = FeatureSpec {
            grid: [0, 0],
            layer: Some("embedding".into()),
            ..clip_features(pipeline, preprocess)?
        };
        let text = serde_json::to_vec(&features).unwrap_or_default();
        let inner = dir.join(format!("embeddings-{}", short_hash(&text)));
        let header = header(dataset, features, pipeline.config.projection_dim, GridType::F32);
        let embeddings = complete(&inner, header, dataset, pipeline, preprocess, device)?;
        self.embeddings = Some(Box::new(embeddings));
        Ok(self)
    }

    /// Makes sure that the embeddings are those of `pipeline`.
    ///
    /// # Errors
    /// A store without embeddings or with those of another CLIP, naming what differs.
    pub fn check_clip(&self, pipeline: &ClipPipeline) -> Result<(), TrainError> {
        let store = self.embeddings.as_deref().unwrap_or(self);
        if store.header.embedding == 0 {
            let problem = "have no embeddings to score captions with: open them with \
                           `FeatureStore::open_or_build`, or add `with_embeddings`";
            return Err(TrainError::setting("features", problem));
        }
        let own = store.spec();
        let wanted = FeatureSpec {
            grid: own.grid,
            layer: own.layer.clone(),
            ..clip_features(pipeline, &pipeline.preprocess)?
        };
        let differences = own.conflicts(&wanted);
        if differences.is_empty() {
            return Ok(());
        }
        let one = |d: &FeatureDifference| {
            format!("`{}` is {} for them and {} for it", d.field, d.first, d.second)
        };
        let differences: Vec<String> = differences.iter().map(one).collect();
        let problem = format!(
            "have the embeddings of another CLIP than the one that scores captions ({})",
            differences.join(", ")
        );
        Err(TrainError::setting("features", problem))
    }

    /// What [`open_or_build`](Self::open_or_build) will give, before anything is computed.
    ///
    /// # Errors
    /// A damaged store, and those of [`clip_features`].
    pub fn spec_ahead(dir: &Path, pipeline: &ClipPipeline) -> Result<FeatureSpec, TrainError> {
        match Header::path(dir).exists() {
            true => Ok(Header::read(dir)?.features),
            false => clip_features(pipeline, &pipeline.preprocess),
        }
    }

    /// Features of every image of a data set by `pipeline`; a finished store is opened, an
    /// unfinished one gone on with. The pictures themselves are not compared with those that a
    /// store was made from.
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
        let mut preprocess = pipeline.preprocess.clone();
        let mut embedding = pipeline.config.projection_dim;
        if let Some(size) = how.size {
            embedding = 0;
            preprocess.size = size;
            preprocess.fit = Fit::Squash;
        }
        let features = clip_features(pipeline, &preprocess)?;
        let header = header(dataset, features, embedding, how.grid_type);
        complete(dir, header, dataset, pipeline, &preprocess, device)
    }
}

fn header(
    dataset: &Dataset,
    features: FeatureSpec,
    embedding: usize,
    grid_type: GridType,
) -> Header {
    let images = dataset.images.iter().map(|image| image.name.clone()).collect();
    Header { features, embedding, grid_type, images }
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
    let ([positions, width], e) = (header.features.grid, header.embedding);
    let (cells, total) = (positions * width, header.images.len());
    let Some(mut rows) = Rows::begin(dir, &header)? else {
        return FeatureStore::open(dir, dataset);
    };
    rows.keep_batches(PICTURE_BATCH)?;
    let first = rows.done();
    let mut progress = Progress::new("features", first, total);
    let started = Instant::now();
    let load = |i: usize| dataset.images[i].source.load();
    each_batch(first..total, preprocess, device, load, |batch| {
        let range = batch.range.clone();
        let pixels = batch.all()?;
        let (mut grid, mut embedding) = (Vec::new(), Vec::new());
        if e == 0 {
            grid = values(pipeline.model.encode_grid(pixels))?;
        } else {
            let features = pipeline.model.encode_image(pixels);
            embedding = values(normalize(features.embedding))?;
            if cells > 0 {
                grid = values(features.grid)?;
            }
        }
        for (i, row) in range.clone().enumerate() {
            let (grid, embedding) = (&grid[i * cells..][..cells], &embedding[i * e..][..e]);
            let row = encode(&header, &header.images[row], grid, embedding);
            rows.push(&row.map_err(|problem| TrainError::file(dir, problem))?)?;
        }
        let rate = (range.end - first) as f64 / started.elapsed().as_secs_f64();
        progress.set(range.end, || format!("{rate:.1} images/s"));
        if is_asked_to_stop() && range.end < total {
            let work = "features".into();
            return Err(TrainError::Stopped { work, done: range.end, total, how: "" });
        }
        Ok::<_, TrainError>(())
    })?;
    let rate = (total - first) as f64 / started.elapsed().as_secs_f64();
    progress.finish(&format!("{rate:.1} images/s"));
    rows.finish()?;
    FeatureStore::open(dir, dataset)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    tensor.try_into_vec_as().map_err(|error| TrainError::Device(error.to_string()))
}
