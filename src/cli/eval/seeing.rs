//! What a CLIP model says of captions, with the pictures at hand.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::Device;
use finecap::clip::{ClipPipeline, load_image, normalize};
use finecap::data::{PictureFolder, Record};
use finecap::metrics::{Ties, retrieval};
use finecap::reward::ClipScoreConfig;
use finecap::train::{
    CaptionedPicture, Progress, clip_scores, each_batch, heading, recall_columns,
};

use super::scores::Column;

/// A CLIP model, and picture files with their references.
pub struct Seeing {
    pipeline: ClipPipeline,
    pictures: Vec<(PathBuf, Vec<String>)>,
    device: Device,
}

impl Seeing {
    /// Finds the picture of each image by any of its names; its captions are references.
    ///
    /// # Errors
    /// A picture that is not there, and a model that can't be read.
    pub fn open<'a>(
        images: &Path,
        clip: &Path,
        scored: impl Iterator<Item = &'a Record> + Clone,
        device: &Device,
    ) -> Result<Self> {
        let paths = PictureFolder::read(images)?.all(scored.clone())?;
        let texts = |record: &Record| record.captions.iter().map(|c| c.raw.clone()).collect();
        let pictures = paths.into_iter().zip(scored.map(texts)).collect();
        let pipeline = ClipPipeline::load(clip, device)?;
        Ok(Self { pipeline, pictures, device: device.clone() })
    }

    /// Embeddings of length 1 of all pictures and of one caption for each, and their width.
    ///
    /// # Shapes
    /// - output: `[N, E]` twice, row by row, and `E`
    pub fn embeddings(&self, captions: &[String]) -> Result<(Vec<f32>, Vec<f32>, usize)> {
        let load = |i: usize| Ok(load_image(&self.pictures[i].0)?);
        let mut images: Vec<f32> = Vec::new();
        let mut progress = Progress::new("pictures", 0, self.pictures.len());
        let (model, preprocess) = (&self.pipeline.model, &self.pipeline.preprocess);
        let all = 0..self.pictures.len();
        each_batch(all, preprocess, &self.device, load, |batch| -> Result<()> {
            let end = batch.range.end;
            let pixels = batch.all()?;
            let embedding = normalize(model.encode_image(pixels).embedding);
            images.extend(embedding.into_data().iter::<f32>());
            progress.set(end, String::new);
            Ok(())
        })?;
        progress.finish("");
        let texts = self.pipeline.embed_texts(captions, &self.device)?;
        let width = texts.dims()[1];
        Ok((images, texts.into_data().iter::<f32>().collect(), width))
    }

    /// CLIP-S, RefCLIP-S and text-to-image recall of each system, which has one caption for each
    /// picture. Pictures are encoded once. Retrieval uses no prompt, as the paper's evaluation.
    pub fn columns(&self, systems: &[Vec<String>]) -> Result<Vec<Vec<Column>>> {
        let pictures: Vec<CaptionedPicture> = (self.pictures.iter().enumerate())
            .map(|(row, (path, references))| CaptionedPicture {
                path: path.clone(),
                captions: systems.iter().map(|texts| texts[row].clone()).collect(),
                references: references.clone(),
            })
            .collect();
        let (mut clip_s, mut ref_clip_s) = (Vec::new(), Vec::new());
        let mut images: Vec<f32> = Vec::new();
        let mut progress = Progress::new("pictures", 0, pictures.len());
        let config = ClipScoreConfig::default();
        clip_scores(
            &pictures,
            &self.pipeline,
            &config,
            &self.device,
            0,
            |mut scores| -> Result<()> {
                let end = scores.range.end;
                let embeddings = scores.all_images()?;
                clip_s.extend(scores.clip_s);
                ref_clip_s.extend(scores.ref_clip_s);
                images.extend(embeddings.into_data().iter::<f32>());
                progress.set(end, String::new);
                Ok(())
            },
        )?;
        progress.finish("");
        let width = images.len() / pictures.len().max(1);
        let own: Vec<usize> = (0..pictures.len()).collect();
        let mut all = Vec::new();
        for (system, texts) in systems.iter().enumerate() {
            let of = |scores: &[f32]| -> Vec<f64> {
                scores.iter().skip(system).step_by(systems.len()).map(|&s| s.into()).collect()
            };
            let texts = self.pipeline.embed_texts(texts, &self.device)?;
            let texts: Vec<f32> = texts.into_data().iter::<f32>().collect();
            let found = retrieval(&images, &texts, width, &own, Ties::Fair)?;
            let mut columns = vec![("CLIP-S", of(&clip_s)), ("RefCLIP-S", of(&ref_clip_s))];
            let recalls = recall_columns(found.text_to_image.as_slice());
            columns.extend(recalls.map(|(name, values)| (heading(name), values)));
            all.push(columns);
        }
        Ok(all)
    }
}
