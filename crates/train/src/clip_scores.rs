//! CLIPScore and RefCLIPScore of captions about picture files.

use std::ops::Range;
use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use finecap_clip::{ClipPipeline, load_image, normalize};
use finecap_reward::{
    Candidate, ClipScore, ClipScoreConfig, RefClipDefinition, RefClipScore, Reward, TextEncoder,
};

use crate::TrainError;
use crate::encode::each_batch;

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
    /// The pictures.
    pub pictures: Range<usize>,
    /// CLIPScore of each of their captions: `w · max(cos, 0)`.
    pub clip_s: Vec<f32>,
    /// RefCLIPScore of each caption; empty without references.
    pub ref_clip_s: Vec<f32>,
    /// Unit-length embeddings of the pictures, `[B, E]`.
    pub images: Tensor<2>,
}

/// Scores captions as Hessel et al. (2021) do, a batch of pictures at a time, so that memory does
/// not grow with their number; `each` takes the batches in order.
///
/// # Errors
/// A picture that can't be read, one without references where others have some, and those of
/// `each`.
pub fn clip_scores<'a, E: From<TrainError>>(
    pictures: &'a [CaptionedPicture],
    pipeline: &ClipPipeline,
    config: &ClipScoreConfig,
    device: &Device,
    mut each: impl FnMut(ClipScores) -> Result<(), E>,
) -> Result<(), E> {
    let encoder = TextEncoder::new(pipeline.clone(), device);
    let with_references = pictures.iter().any(|picture| !picture.references.is_empty());
    let load = |i: usize| Ok(load_image(&pictures[i].path)?);
    each_batch(0..pictures.len(), &pipeline.preprocess, device, load, |range, pixels| {
        let images = normalize(pipeline.model.encode_image(pixels).embedding);
        let batch = &pictures[range.clone()];
        let of_picture = |(i, picture): (usize, &'a CaptionedPicture)| {
            picture.captions.iter().map(move |caption| Candidate::new(i, caption))
        };
        let candidates: Vec<Candidate> = batch.iter().enumerate().flat_map(of_picture).collect();
        let score = || -> Result<_, TrainError> {
            let mut clip_s =
                ClipScore::with_encoder(config.clone(), encoder.clone(), images.clone());
            let scores = clip_s.score(&candidates)?;
            if !with_references {
                return Ok((scores, Vec::new()));
            }
            let references: Vec<&[String]> =
                batch.iter().map(|picture| picture.references.as_slice()).collect();
            let mut with = RefClipScore::new(clip_s, RefClipDefinition::Hessel, &references)?;
            Ok((scores, with.score(&candidates)?))
        };
        let (clip_s, ref_clip_s) = score()?;
        each(ClipScores { pictures: range, clip_s, ref_clip_s, images })
    })
}
