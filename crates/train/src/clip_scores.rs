//! CLIPScore and RefCLIPScore of captions about picture files.

use std::ops::Range;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use finecap_clip::{ClipPipeline, load_image, normalize};
use finecap_reward::{
    Candidate, ClipScore, ClipScoreConfig, RefClipDefinition, RefClipScore, Reward, TextEncoder,
};

use crate::TrainError;
use crate::encode::{PixelBatch, each_batch};

/// A picture file and what is said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionedPicture {
    /// The picture.
    pub path: PathBuf,
    /// Captions to score; may be none.
    pub captions: Vec<String>,
    /// References; all pictures have some, or none has any.
    pub references: Vec<String>,
}

/// Scores of the captions of some successive pictures, picture by picture.
pub struct ClipScores {
    /// The pictures of the batch.
    pub range: Range<usize>,
    /// Those of them that were scored, in order.
    pub pictures: Vec<usize>,
    /// Those that could not be read, and why.
    pub failed: Vec<(usize, TrainError)>,
    /// CLIPScore of each of their captions: `w · max(cos, 0)`.
    pub clip_s: Vec<f32>,
    /// RefCLIPScore of each caption; empty without references.
    pub ref_clip_s: Vec<f32>,
    /// Unit-length embeddings of the scored pictures, `[B, E]`; `None` where there are none.
    pub images: Option<Tensor<2>>,
}

impl ClipScores {
    /// The embeddings of all pictures of the batch, `[B, E]`.
    ///
    /// # Errors
    /// That of the first picture that could not be read.
    pub fn all_images(&mut self) -> Result<Tensor<2>, TrainError> {
        match (self.failed.is_empty(), self.images.take()) {
            (true, Some(images)) => Ok(images),
            _ => Err(self.failed.swap_remove(0).1),
        }
    }
}

/// Scores captions as Hessel et al. (2021) do, a batch of pictures at a time, so that memory does
/// not grow with their number; `each` takes the batches of the pictures from `first` on in order.
///
/// # Errors
/// A picture without references where others have some, and those of `each`.
pub fn clip_scores<E: From<TrainError>>(
    pictures: &[CaptionedPicture],
    pipeline: &ClipPipeline,
    config: &ClipScoreConfig,
    device: &Device,
    first: usize,
    mut each: impl FnMut(ClipScores) -> Result<(), E>,
) -> Result<(), E> {
    let encoder = TextEncoder::new(pipeline.clone(), device);
    let with_references = pictures.iter().any(|picture| !picture.references.is_empty());
    let load = |i: usize| Ok(load_image(&pictures[i].path)?);
    each_batch(first..pictures.len(), &pipeline.preprocess, device, load, |batch| {
        let PixelBatch { range, places, pixels, failed } = batch;
        let Some(pixels) = pixels else {
            let (clip_s, ref_clip_s) = (Vec::new(), Vec::new());
            return each(ClipScores {
                range,
                pictures: places,
                failed,
                clip_s,
                ref_clip_s,
                images: None,
            });
        };
        let images = normalize(pipeline.model.encode_image(pixels).embedding);
        let of_picture = |(i, &place): (usize, &usize)| {
            pictures[place].captions.iter().map(move |caption| Candidate::new(i, caption))
        };
        let candidates: Vec<Candidate> = places.iter().enumerate().flat_map(of_picture).collect();
        let score = || -> Result<_, TrainError> {
            let mut clip_s =
                ClipScore::with_encoder(config.clone(), encoder.clone(), images.clone());
            let scores = clip_s.score(&candidates)?;
            if !with_references {
                return Ok((scores, Vec::new()));
            }
            let references: Vec<&[String]> =
                places.iter().map(|&place| pictures[place].references.as_slice()).collect();
            let mut with = RefClipScore::new(clip_s, RefClipDefinition::Hessel, &references)?;
            Ok((scores, with.score(&candidates)?))
        };
        let (clip_s, ref_clip_s) = score()?;
        each(ClipScores {
            range,
            pictures: places,
            failed,
            clip_s,
            ref_clip_s,
            images: Some(images),
        })
    })
}
