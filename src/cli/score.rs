//! `finecap score`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use clap::Args;
use finecap::reward::GrammarScorer;
use finecap::train::{caption_words, write_json};
use serde_json::{Map, Value};

#[derive(Args)]
pub struct Score {
    /// Give every caption the probability that it is a sentence, by the grammar model of this
    /// run; no picture is needed.
    #[arg(long, value_name = "RUN")]
    grammar: PathBuf,
    /// Captions: JSON of {"key": "caption"} or {"key": ["caption", ...]}.
    #[arg(long, value_name = "JSON")]
    candidates: PathBuf,
    /// File for the scores, under the same keys.
    #[arg(long, value_name = "JSON")]
    output: PathBuf,
}

impl Score {
    pub fn run(self, device: &Device) -> Result<()> {
        let candidates = read(&self.candidates)?;
        let model = model_dir(&self.grammar)?;
        let scorer = GrammarScorer::load(&model, device)?;
        let texts: Vec<&str> = candidates.values().flat_map(captions).collect();
        let mut scores = probabilities(&scorer, &texts, device)?.into_iter();
        let scored: Map<String, Value> = candidates
            .iter()
            .map(|(key, value)| {
                let scores: Vec<f32> = scores.by_ref().take(captions(value).count()).collect();
                let value = match (value, scores.as_slice()) {
                    (Value::String(_), [score]) => Value::from(*score),
                    _ => Value::from(scores),
                };
                (key.clone(), value)
            })
            .collect();
        write_json(&self.output, &scored)?;
        eprintln!("{} captions scored -> {}", texts.len(), self.output.display());
        Ok(())
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
    if found.is_empty() {
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
