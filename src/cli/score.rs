//! `finecap score`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::captions::References;
use finecap::clip::ClipPipeline;
use finecap::files::write_json;
use finecap::reward::{ClipScoreConfig, GrammarScorer};
use finecap::train::{CaptionedPicture, PictureFolder, Progress, caption_words, clip_scores};
use serde_json::{Map, Value, json};

/// Captions that the grammar head reads together.
const CHUNK: usize = 1024;

#[derive(Args)]
pub struct Score {
    /// Captions: JSON of {"key": "caption"} or {"key": ["caption", ...]}.
    #[arg(long, value_name = "JSON")]
    candidates: PathBuf,
    /// Folder with the pictures, for CLIPScore: each key is a file name, with or without its
    /// ending.
    #[arg(long, value_name = "DIR", requires = "clip", required_unless_present = "grammar")]
    images: Option<PathBuf>,
    /// References of the same pictures, for RefCLIPScore, as {"key": ["reference", ...]} or in any
    /// format that `finecap eval captions` reads.
    #[arg(long, value_name = "JSON", requires = "images")]
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
        let candidates = read(&self.candidates)?;
        let mut columns: Vec<Column> = Vec::new();
        if let (Some(images), Some(clip)) = (&self.images, &self.clip) {
            let pictures = self.pictures(images, &candidates)?;
            let pipeline = ClipPipeline::load(clip, device)?;
            columns.extend(self.clip_columns(&pictures, &pipeline, device)?);
        }
        if let Some(grammar) = &self.grammar {
            let scorer = GrammarScorer::load(&model_dir(grammar)?, device)?;
            let texts: Vec<&str> = candidates.values().flat_map(captions).collect();
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
    fn pictures(
        &self,
        images: &Path,
        candidates: &Map<String, Value>,
    ) -> Result<Vec<CaptionedPicture>> {
        let folder = PictureFolder::read(images)?;
        let references = match &self.references {
            Some(path) => Some((References::read(path, None)?, path.display())),
            None => None,
        };
        let mut pictures = Vec::with_capacity(candidates.len());
        for (key, value) in candidates {
            let references = match &references {
                Some((references, file)) => {
                    let place = references.find(key).with_context(|| {
                        format!(
                            "{file}: has no references for `{key}`, or several images of that name"
                        )
                    })?;
                    references.captions(place).to_vec()
                }
                None => Vec::new(),
            };
            let captions = captions(value).map(str::to_string).collect();
            let path = folder.find(key)?;
            pictures.push(CaptionedPicture { path, captions, references });
        }
        Ok(pictures)
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

    /// The scores of each key: by name with pictures, the bare probability without; a list where
    /// the captions are one.
    fn scored(&self, candidates: &Map<String, Value>, columns: &[Column]) -> Map<String, Value> {
        let mut first = 0;
        let entry = |(key, value): (&String, &Value)| {
            let own = first..first + captions(value).count();
            first = own.end;
            let of = |scores: &[f32]| match value {
                Value::String(_) => json!(scores[own.start]),
                _ => json!(scores[own.clone()]),
            };
            let scores = match columns {
                [("grammar", scores)] => of(scores),
                columns => columns.iter().map(|(name, s)| (name.to_string(), of(s))).collect(),
            };
            (key.clone(), scores)
        };
        candidates.iter().map(entry).collect()
    }
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

/// The candidates, checked: every value is a caption or a list of captions.
fn read(path: &Path) -> Result<Map<String, Value>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found: Map<String, Value> = serde_json::from_str(&text)
        .with_context(|| format!("{}: must be a JSON object of captions by key", path.display()))?;
    for (key, value) in &found {
        let is_text = |value: &Value| value.is_string();
        if !(is_text(value) || value.as_array().is_some_and(|list| list.iter().all(is_text))) {
            bail!("{}: `{key}` must be a caption or a list of captions", path.display());
        }
    }
    if found.values().flat_map(captions).next().is_none() {
        bail!("{}: holds no captions", path.display());
    }
    Ok(found)
}

fn captions(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
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
