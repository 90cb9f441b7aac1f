//! `finecap score`

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::clip::ClipPipeline;
use finecap::data::{CaptionFile, DataError, PictureFolder, ReadOptions, Record};
use finecap::files::write_json;
use finecap::reward::{ClipScoreConfig, GrammarScorer};
use finecap::train::{CaptionedPicture, Progress, caption_words, clip_scores};
use serde_json::{Map, Value, json};

use super::data::{ColumnsArgs, captions};

/// Captions that the grammar head reads together.
const CHUNK: usize = 1024;

#[derive(Args)]
pub struct Score {
    /// Captions, one or several for each image, as {"key": "caption"} or in any other format (see
    /// `finecap data inspect`).
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Folder with the pictures, for CLIPScore: images are found by their names, with or without
    /// endings, or by COCO's numbers.
    #[arg(long, value_name = "DIR", requires = "clip", required_unless_present = "grammar")]
    images: Option<PathBuf>,
    /// References of the same pictures, for RefCLIPScore, in any format.
    #[arg(long, value_name = "FILE", requires = "images")]
    references: Option<PathBuf>,
    /// CLIP model.
    #[arg(long, value_name = "DIR", requires = "images")]
    clip: Option<PathBuf>,
    /// Put before every caption, with a space between.
    #[arg(long, default_value_t = ClipScoreConfig::default().prompt, requires = "images")]
    prompt: String,
    /// Factor on the cosine of picture and caption.
    #[arg(long, default_value_t = ClipScoreConfig::default().weight, requires = "images")]
    weight: f32,
    /// Give every caption the probability that it is a sentence, by the grammar model of this
    /// run; no picture is needed.
    #[arg(long, value_name = "RUN")]
    grammar: Option<PathBuf>,
    /// File for the scores, under the same keys.
    #[arg(long, value_name = "JSON")]
    output: PathBuf,
}

/// A name of scores, and one score for each caption in order.
type Column = (&'static str, Vec<f32>);

impl Score {
    pub fn run(self, device: &Device) -> Result<()> {
        let candidates = captions(&self.candidates, &self.columns.options())?;
        let mut columns: Vec<Column> = Vec::new();
        if let (Some(images), Some(clip)) = (&self.images, &self.clip) {
            let pictures = self.pictures(images, &candidates)?;
            let pipeline = ClipPipeline::load(clip, device)?;
            columns.extend(self.clip_columns(&pictures, &pipeline, device)?);
        }
        if let Some(grammar) = &self.grammar {
            let scorer = GrammarScorer::load(&model_dir(grammar)?, device)?;
            let all = candidates.records.iter().flat_map(|record| &record.captions);
            let texts: Vec<&str> = all.map(|caption| &*caption.raw).collect();
            let mut scores = Vec::with_capacity(texts.len());
            for chunk in texts.chunks(CHUNK) {
                scores.extend(probabilities(&scorer, chunk, device)?);
            }
            columns.push(("grammar", scores));
        }
        write_json(&self.output, &self.scored(&candidates, &columns))?;
        for (name, scores) in &columns {
            let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
            println!("{name}: {:.4}", sum / scores.len() as f64);
        }
        let captions = columns.first().map_or(0, |(_, scores)| scores.len());
        eprintln!("{captions} captions scored -> {}", self.output.display());
        Ok(())
    }

    /// The pictures with their captions and references, in the order of the candidates.
    fn pictures(&self, images: &Path, candidates: &CaptionFile) -> Result<Vec<CaptionedPicture>> {
        let paths = PictureFolder::read(images)?.all(candidates.records.iter())?;
        let references = match &self.references {
            Some(path) => self.references_of(path, candidates)?,
            None => vec![Vec::new(); paths.len()],
        };
        let rows = candidates.records.iter().zip(paths).zip(references);
        let picture = |((record, path), references): ((&Record, PathBuf), Vec<String>)| {
            CaptionedPicture { path, captions: texts(record), references }
        };
        Ok(rows.map(picture).collect())
    }

    fn references_of(&self, path: &Path, candidates: &CaptionFile) -> Result<Vec<Vec<String>>> {
        let references = captions(path, &ReadOptions::default())?;
        references.check_references()?;
        let places = candidates.names().pair(&references.names()).map_err(DataError::name(path))?;
        let of = |(record, place): (&Record, Option<usize>)| match place {
            Some(place) => Ok(texts(&references.records[place])),
            None => Err(anyhow!("{}: has no references for `{}`", path.display(), record.name)),
        };
        candidates.records.iter().zip(places).map(of).collect()
    }

    fn clip_columns(
        &self,
        pictures: &[CaptionedPicture],
        pipeline: &ClipPipeline,
        device: &Device,
    ) -> Result<Vec<Column>> {
        let config = ClipScoreConfig { prompt: self.prompt.clone(), weight: self.weight };
        let (mut clip_s, mut ref_clip_s) = (Vec::new(), Vec::new());
        let mut progress = Progress::new("pictures", 0, pictures.len());
        clip_scores(pictures, pipeline, &config, device, |scores| -> Result<()> {
            clip_s.extend(scores.clip_s);
            ref_clip_s.extend(scores.ref_clip_s);
            progress.set(scores.pictures.end, String::new);
            Ok(())
        })?;
        progress.finish("");
        let mut columns = vec![("CLIPScore", clip_s)];
        if self.references.is_some() {
            columns.push(("RefCLIPScore", ref_clip_s));
        }
        Ok(columns)
    }

    /// The scores of each image: by name with pictures, the bare probability without; a list where
    /// the captions are one.
    fn scored(&self, candidates: &CaptionFile, columns: &[Column]) -> Map<String, Value> {
        let mut first = 0;
        let entry = |record: &Record| {
            let own = first..first + record.captions.len();
            first = own.end;
            let of = |scores: &[f32]| match record.is_list || own.len() != 1 {
                false => json!(scores[own.start]),
                true => json!(scores[own.clone()]),
            };
            let scores = match columns {
                [("grammar", scores)] => of(scores),
                columns => columns.iter().map(|(name, s)| (name.to_string(), of(s))).collect(),
            };
            (record.name.clone(), scores)
        };
        candidates.records.iter().map(entry).collect()
    }
}

fn texts(record: &Record) -> Vec<String> {
    record.captions.iter().map(|caption| caption.raw.clone()).collect()
}

/// Probability of each caption, as people write them. The head has learned from words without
/// punctuation, which would be unknown to it.
pub(super) fn probabilities<S: AsRef<str>>(
    scorer: &GrammarScorer,
    captions: &[S],
    device: &Device,
) -> Result<Vec<f32>> {
    let words = |caption: &S| caption_words(caption.as_ref()).join(" ");
    let texts: Vec<String> = captions.iter().map(words).collect();
    Ok(scorer.probabilities(&texts, device)?)
}

/// The grammar model of a run, or the folder itself where it is one.
pub(super) fn model_dir(run: &Path) -> Result<PathBuf> {
    let places = [run.join("grammar/model"), run.join("model"), run.to_path_buf()];
    match places.iter().find(|dir| dir.join("grammar.json").is_file()) {
        Some(dir) => Ok(dir.clone()),
        None => bail!(
            "there is no grammar model in {}: make one with `finecap train grammar`, and give its \
             --out here",
            run.display()
        ),
    }
}
