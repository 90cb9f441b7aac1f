//! `finecap score`

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use clap::Args;
use finecap::clip::ClipPipeline;
use finecap::data::{CaptionFile, DataError, PictureFolder, ReadOptions, Record};
use finecap::files::write_json;
use finecap::reward::{ClipScoreConfig, GrammarScorer};
use finecap::train::{
    CaptionedPicture, KeptRows, PICTURE_BATCH, Progress, RunFolder, clip_features, clip_scores,
    grammar_probabilities, text_tower_fingerprint,
};
use serde_json::{Map, Value, json};

use super::bad_pictures::{BadPictures, Skipped};
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
    #[command(flatten)]
    bad: BadPictures,
}

/// A name of scores, and one score for each caption in order.
type Column = (&'static str, Vec<f32>);

impl Score {
    pub fn run(self, device: &Device) -> Result<()> {
        let candidates = captions(&self.candidates, &self.columns.options())?;
        let mut columns: Vec<Column> = Vec::new();
        let mut skipped = Skipped::new(&self.bad);
        let mut unfinished = None;
        if let (Some(images), Some(clip)) = (&self.images, &self.clip) {
            let pictures = self.pictures(images, &candidates)?;
            let pipeline = ClipPipeline::load(clip, device)?;
            let (found, rows) =
                self.clip_columns(&candidates, &pictures, &pipeline, &mut skipped, device)?;
            columns.extend(found);
            unfinished = Some(rows);
        }
        if let Some(grammar) = &self.grammar {
            let scorer = GrammarScorer::load(&RunFolder::new(grammar).grammar()?, device)?;
            let all = candidates.records.iter().flat_map(|record| &record.captions);
            let texts: Vec<&str> = all.map(|caption| &*caption.raw).collect();
            let mut scores = Vec::with_capacity(texts.len());
            for chunk in texts.chunks(CHUNK) {
                scores.extend(grammar_probabilities(&scorer, chunk, device)?);
            }
            columns.push(("grammar", scores));
        }
        write_json(&self.output, &scored(&candidates, &columns, &skipped))?;
        if let Some(rows) = unfinished {
            rows.remove()?;
        }
        for (name, scores) in &columns {
            let scored: Vec<f64> =
                scores.iter().filter(|score| !score.is_nan()).map(|&score| score.into()).collect();
            println!("{name}: {:.4}", scored.iter().sum::<f64>() / scored.len() as f64);
        }
        skipped.report(candidates.records.len());
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

    /// CLIPScore, and RefCLIPScore where there are references, and the rows that they were kept in.
    fn clip_columns(
        &self,
        candidates: &CaptionFile,
        pictures: &[CaptionedPicture],
        pipeline: &ClipPipeline,
        skipped: &mut Skipped,
        device: &Device,
    ) -> Result<(Vec<Column>, KeptRows)> {
        let config = ClipScoreConfig { prompt: self.prompt.clone(), weight: self.weight };
        let names: Vec<String> =
            candidates.records.iter().map(|record| record.name.clone()).collect();
        let texts: Vec<_> = pictures.iter().map(|p| (&p.captions, &p.references)).collect();
        let what = json!({
            "model": clip_features(pipeline, &pipeline.preprocess)?,
            "text_tower": text_tower_fingerprint(&pipeline.model)?,
            "images": names,
            "texts": texts,
            "prompt": self.prompt,
            "weight": self.weight,
        });
        // One row for each picture: all scores of its captions, as many as the longest list has.
        let most = pictures.iter().map(|picture| picture.captions.len()).max().unwrap_or(0);
        let kinds = if self.references.is_some() { 2 } else { 1 };
        let width = most * kinds;
        let mut rows = KeptRows::begin(&self.output, &what, width, PICTURE_BATCH, self.bad.resume)?;
        skipped.recall(&mut rows, &names)?;
        let mut progress = Progress::new("pictures", rows.rows(), pictures.len());
        let first = rows.rows();
        clip_scores(pictures, pipeline, &config, device, first, |scores| -> Result<()> {
            skipped.note(scores.failed, rows.rows(), |line| progress.note(line))?;
            let mut at = 0;
            for place in scores.range.clone() {
                let mut row = vec![f32::NAN; width];
                if scores.pictures.binary_search(&place).is_ok() {
                    let own = at..at + pictures[place].captions.len();
                    at = own.end;
                    row[..own.len()].copy_from_slice(&scores.clip_s[own.clone()]);
                    if kinds == 2 {
                        row[most..most + own.len()].copy_from_slice(&scores.ref_clip_s[own]);
                    }
                }
                rows.push(&row)?;
            }
            progress.set(scores.range.end, String::new);
            Ok(())
        })?;
        progress.finish("");
        let mut columns = vec![("CLIPScore", Vec::new()), ("RefCLIPScore", Vec::new())];
        columns.truncate(kinds);
        for (row, picture) in rows.each()?.zip(pictures) {
            let row = row?;
            for (kind, (_, scores)) in columns.iter_mut().enumerate() {
                scores.extend_from_slice(&row[kind * most..][..picture.captions.len()]);
            }
        }
        Ok((columns, rows))
    }
}

/// The scores of each image: by name with pictures, the bare probability without; a list where the
/// captions are one; null where the picture was skipped.
fn scored(candidates: &CaptionFile, columns: &[Column], skipped: &Skipped) -> Map<String, Value> {
    let mut first = 0;
    let mut all = Map::new();
    for (place, record) in candidates.records.iter().enumerate() {
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
        if skipped.keeps(place) {
            all.insert(record.name.clone(), scores);
        }
    }
    all
}

fn texts(record: &Record) -> Vec<String> {
    record.captions.iter().map(|caption| caption.raw.clone()).collect()
}
