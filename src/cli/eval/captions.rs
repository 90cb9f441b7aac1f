//! `finecap eval captions`

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use finecap::captions::{Candidates, References};
use finecap::metrics::{ptb_tokenize, share_seen};
use finecap::reward::{CiderTable, GrammarScorer};
use serde_json::{Map, Value, json};

use super::lines::Lines;
use super::meteor::MeteorData;
use super::resampling::Resampling;
use super::scores::{Column, Scores};
use super::seeing::Seeing;
use crate::cli::score::{model_dir, probabilities};

/// How captions are cut into words.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tokenizer {
    /// As coco-caption: Penn Treebank rules, lower case, punctuation dropped.
    Ptb,
    /// They are cut already: words stand between spaces.
    Spaces,
}

#[derive(Args)]
pub struct Captions {
    /// Captions: COCO results, clipscore JSON, JSON lines, or what `finecap caption` prints.
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    /// References: COCO annotations, Karpathy JSON, clipscore JSON or JSON lines.
    #[arg(long, value_name = "FILE")]
    references: PathBuf,
    /// Of a Karpathy file, only the images of this split.
    #[arg(long)]
    split: Option<String>,
    /// Captions of another system for the same images, to compare with.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Folder with the pictures, for CLIP-S, RefCLIP-S and text-to-image retrieval: the names of the
    /// images are file names, with or without their endings.
    #[arg(long, value_name = "DIR", requires = "clip")]
    images: Option<PathBuf>,
    /// CLIP model that sees the pictures.
    #[arg(long, value_name = "DIR", requires = "images")]
    clip: Option<PathBuf>,
    /// Give the mean probability of being a sentence, by the grammar model of this run.
    #[arg(long, value_name = "RUN")]
    grammar: Option<PathBuf>,
    #[command(flatten)]
    meteor: MeteorData,
    /// Document frequencies for CIDEr and CIDEr-D, as `finecap prepare` writes them (cider.json),
    /// instead of those of the references at hand. They are of training's words, in lower case and
    /// without punctuation; Penn Treebank words differ from them in endings such as "n't".
    #[arg(long, value_name = "JSON")]
    frequencies: Option<PathBuf>,
    /// Training captions, in any of the formats: give the share of captions that are among them,
    /// word by word.
    #[arg(long, value_name = "FILE")]
    training: Option<PathBuf>,
    /// Score the images that both files have, instead of stopping at the first that one lacks.
    #[arg(long)]
    allow_missing: bool,
    /// How captions are cut into words.
    #[arg(long, value_enum, default_value_t = Tokenizer::Ptb)]
    tokenizer: Tokenizer,
    #[command(flatten)]
    resampling: Resampling,
    /// File for all numbers, each image's included (JSON).
    #[arg(long, value_name = "JSON")]
    output: Option<PathBuf>,
    /// Print the numbers as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Captions {
    pub fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        let references = References::read(&self.references, self.split.as_deref())?;
        let candidates = Candidates::read(&self.candidates)?;
        let decoding = candidates.decoding.clone();
        let mut rows = self.matched(candidates, &self.candidates, &references)?;
        let mut baseline: Option<Vec<String>> = None;
        if let Some(file) = &self.baseline {
            // Both systems are compared on the images that both have.
            let mut other: HashMap<usize, String> =
                self.matched(Candidates::read(file)?, file, &references)?.into_iter().collect();
            rows.retain(|(place, _)| other.contains_key(place));
            if rows.is_empty() {
                bail!("{}: has no image in common with the candidates", file.display());
            }
            baseline = Some(rows.iter().filter_map(|(place, _)| other.remove(place)).collect());
        }
        let (places, texts): (Vec<usize>, Vec<String>) = rows.into_iter().unzip();
        let frequencies = match &self.frequencies {
            Some(path) => Some(CiderTable::load(path)?.into_parts()),
            None => None,
        };
        if places.len() == 1 && frequencies.is_none() {
            eprintln!(
                "note: CIDEr over one image is 0 whatever its caption is, without --frequencies"
            );
        }

        let cut = |text: &String| match self.tokenizer {
            Tokenizer::Ptb => ptb_tokenize(text),
            Tokenizer::Spaces => text.clone(),
        };
        let references_of: Vec<Vec<String>> =
            places.iter().map(|&p| references.captions(p).iter().map(cut).collect()).collect();
        let meteor = self.meteor.load()?;
        let grammar = match &self.grammar {
            None => None,
            Some(run) => {
                let device = device()?;
                Some((GrammarScorer::load(&model_dir(run)?, &device)?, device))
            }
        };
        let training = match &self.training {
            Some(path) => Some(training_captions(path, cut)?),
            None => None,
        };
        let mut systems = vec![texts];
        systems.extend(baseline);
        let mut columns: Vec<Vec<Column>> = match (&self.images, &self.clip) {
            (Some(images), Some(clip)) => {
                let named = places
                    .iter()
                    .map(|&place| (references.names(place), references.captions(place).to_vec()));
                Seeing::open(images, clip, named, &device()?)?.columns(&systems)?
            }
            _ => systems.iter().map(|_| Vec::new()).collect(),
        };
        let mut scored = Vec::new();
        for (texts, mut columns) in systems.iter().zip(columns.drain(..)) {
            if let Some((scorer, device)) = &grammar {
                let values = probabilities(scorer, texts, device)?;
                columns.push(("grammar", values.into_iter().map(f64::from).collect()));
            }
            let captions: Vec<String> = texts.iter().map(cut).collect();
            let frequencies = frequencies.clone();
            let mut scores =
                Scores::of(&captions, &references_of, meteor.as_ref(), frequencies, columns)?;
            scores.seen = training.as_ref().map(|training| share_seen(&captions, training));
            scored.push(scores);
        }
        let lines = Lines::of(&scored[0], scored.get(1), &self.resampling)?;

        let whole = lines.json(self.about(decoding.as_ref()));
        if let Some(output) = &self.output {
            let images: Map<String, Value> = (places.iter().enumerate())
                .map(|(row, &place)| {
                    (references.name(place).into(), scored[0].image(row, &systems[0][row]))
                })
                .collect();
            let mut with_images = whole.clone();
            with_images["images"] = images.into();
            finecap::files::write_json(output, &with_images)?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&whole)?);
        } else {
            println!("{} images", places.len());
            if let Some(decoding) = &decoding {
                println!("decoded with {decoding}");
            }
            println!("\n{}", lines.table());
        }
        Ok(())
    }

    /// What was compared, and how.
    fn about(&self, decoding: Option<&Value>) -> Map<String, Value> {
        let about = json!({
            "candidates": self.candidates,
            "references": self.references,
            "baseline": self.baseline,
            "tokenizer": if self.tokenizer == Tokenizer::Ptb { "ptb" } else { "spaces" },
            "resamples": self.resampling.resamples,
            "seed": self.resampling.seed,
            "frequencies": self.frequencies,
            "decoding": decoding,
        });
        about.as_object().cloned().unwrap_or_default()
    }

    /// The captions of a file with the places of their images among the references, in the order
    /// of the references.
    fn matched(
        &self,
        candidates: Candidates,
        file: &Path,
        references: &References,
    ) -> Result<Vec<(usize, String)>> {
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for (image, caption) in candidates.images.into_iter().zip(candidates.captions) {
            match references.find(&image) {
                Some(place) => found.push((place, caption)),
                None => unknown.push(image),
            }
        }
        found.sort_by_key(|(place, _)| *place);
        if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            bail!(
                "{}: image `{}` has two captions, under different names",
                file.display(),
                references.name(pair[0].0)
            );
        }
        let mut present = vec![false; references.len()];
        found.iter().for_each(|(place, _)| present[*place] = true);
        let absent: Vec<&str> = (0..references.len())
            .filter(|&place| !present[place])
            .map(|place| references.name(place))
            .collect();
        if self.allow_missing {
            if found.is_empty() {
                bail!("{}: none of its images has references", file.display());
            }
            if !unknown.is_empty() || !absent.is_empty() {
                eprintln!(
                    "note: {} of {} images are scored: {} have no references, {} no caption in {}",
                    found.len(),
                    references.len() + unknown.len(),
                    unknown.len(),
                    absent.len(),
                    file.display()
                );
            }
        } else {
            let remedy = "score what both files have with --allow-missing";
            if let Some(image) = unknown.first() {
                bail!(
                    "{}: image `{image}` ({} in all) has no references in {}: {remedy}",
                    file.display(),
                    unknown.len(),
                    self.references.display()
                );
            }
            if let Some(image) = absent.first() {
                bail!(
                    "{}: image `{image}` of {} ({} in all) has no caption: {remedy}, or name the split with --split",
                    file.display(),
                    self.references.display(),
                    absent.len()
                );
            }
        }
        let empty: Vec<&str> = (found.iter())
            .filter(|(_, caption)| caption.trim().is_empty())
            .map(|(place, _)| references.name(*place))
            .collect();
        if let Some(image) = empty.first() {
            let n = empty.len();
            eprintln!("note: {}: {n} captions are empty, as that of `{image}`", file.display());
        }
        Ok(found)
    }
}

/// The captions of a file, cut into words.
fn training_captions(path: &Path, cut: impl Fn(&String) -> String) -> Result<Vec<String>> {
    let training = References::read(path, None)?;
    let captions = (0..training.len()).flat_map(|place| training.captions(place));
    Ok(captions.map(cut).collect())
}
