//! `finecap eval captions`

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use finecap::data::{CaptionText, Columns, ReadOptions};
use finecap::metrics::{ptb_tokenize, share_seen};
use finecap::reward::{CiderTable, GrammarScorer};
use finecap::train::{RunFolder, grammar_probabilities};
use serde_json::{Map, Value, json};

use super::external::{self, External};
use super::lines::Lines;
use super::matching::Targets;
use super::meteor::MeteorData;
use super::resampling::Resampling;
use super::scores::{Column, Scores};
use super::seeing::Seeing;
use crate::cli::data::{self, ColumnsArgs};

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
    /// Captions, one for each image, in any format: see `finecap data inspect`.
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    /// References, in any format.
    #[arg(long, value_name = "FILE")]
    references: PathBuf,
    /// Columns of the references, as --columns says those of the candidates.
    #[arg(long, value_name = "image=..,caption=..")]
    reference_columns: Option<Columns>,
    /// Of the references, only the images of this split; train includes restval.
    #[arg(long)]
    split: Option<String>,
    /// Captions of another system for the same images, to compare with.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Folder with the pictures, for CLIP-S, RefCLIP-S and text-to-image retrieval: images are found
    /// by their names, with or without endings, or by COCO's numbers.
    #[arg(long, value_name = "DIR", requires = "clip")]
    images: Option<PathBuf>,
    /// CLIP model that sees the pictures.
    #[arg(long, value_name = "DIR", requires = "images")]
    clip: Option<PathBuf>,
    /// Give the mean probability of being a sentence, by the grammar model of this run.
    #[arg(long, value_name = "RUN")]
    grammar: Option<PathBuf>,
    /// Scores of another program, as a column of this name: it reads a JSON object a line from stdin
    /// ({"id", "image", "path", "caption", "references"}) and answers each on stdout ({"id",
    /// "score"}). An address that begins with http:// is asked instead. May be given several times.
    #[arg(long, value_name = "NAME=COMMAND")]
    external: Vec<External>,
    #[command(flatten)]
    columns: ColumnsArgs,
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
        let options = self.columns.options();
        let columns = self.reference_columns.clone().unwrap_or_default();
        let mut references =
            data::captions(&self.references, &ReadOptions { columns, ..ReadOptions::default() })?;
        if let Some(split) = &self.split {
            references.keep_split(split)?;
        }
        references.check_references()?;
        let names = references.names();
        let targets = Targets {
            file: &self.references,
            shown: references.records.iter().map(|record| &*record.name).collect(),
            names: &names,
            allow_missing: self.allow_missing,
            hint: ", or name the split with --split",
        };
        let candidates = data::captions(&self.candidates, &options)?;
        let decoding = candidates.decoding.clone();
        let mut rows = targets.matched(candidates)?;
        let mut baseline: Option<Vec<String>> = None;
        if let Some(file) = &self.baseline {
            // Both systems are compared on the images that both have.
            let mut other: HashMap<usize, String> =
                targets.matched(data::captions(file, &options)?)?.into_iter().collect();
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
        let texts_of =
            |place: usize| references.records[place].captions.iter().map(|caption| &caption.raw);
        let references_of: Vec<Vec<String>> =
            places.iter().map(|&p| texts_of(p).map(cut).collect()).collect();
        let meteor = self.meteor.load()?;
        let grammar = match &self.grammar {
            None => None,
            Some(run) => {
                let device = device()?;
                Some((GrammarScorer::load(&RunFolder::new(run).grammar()?, &device)?, device))
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
                let scored = places.iter().map(|&place| &references.records[place]);
                Seeing::open(images, clip, scored, &device()?)?.columns(&systems)?
            }
            _ => systems.iter().map(|_| Vec::new()).collect(),
        };
        let scored = places.iter().map(|&place| &references.records[place]);
        let external = external::open(&self.external, scored, self.images.as_deref())?;
        external::score(external, &systems, &mut columns)?;
        let mut scored = Vec::new();
        for (texts, mut columns) in systems.iter().zip(columns.drain(..)) {
            if let Some((scorer, device)) = &grammar {
                let values = grammar_probabilities(scorer, texts, device)?;
                columns.push(("grammar", values.into_iter().map(f64::from).collect()));
            }
            let captions: Vec<String> = texts.iter().map(cut).collect();
            let mut scores = Scores::of(
                &captions,
                &references_of,
                meteor.as_ref(),
                frequencies.as_ref(),
                columns,
            )?;
            scores.seen = training.as_ref().map(|training| share_seen(&captions, training));
            scored.push(scores);
        }
        let lines = Lines::of(&scored[0], scored.get(1), &self.resampling)?;

        let whole = lines.json(self.about(decoding.as_ref()));
        if let Some(output) = &self.output {
            let images: Map<String, Value> = (places.iter().enumerate())
                .map(|(row, &place)| {
                    (references.records[place].name.clone(), scored[0].image(row, &systems[0][row]))
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
            "external": self.external.iter().map(External::to_string).collect::<Vec<_>>(),
            "decoding": decoding,
        });
        about.as_object().cloned().unwrap_or_default()
    }
}

/// The captions of a file, cut into words.
fn training_captions(path: &Path, cut: impl Fn(&String) -> String) -> Result<Vec<String>> {
    let options = ReadOptions { captions_only: true, lenient: true, ..ReadOptions::default() };
    let training = data::captions(path, &options)?;
    let captions = training.records.iter().flat_map(|record| &record.captions);
    Ok(captions.map(|CaptionText { raw, .. }| cut(raw)).collect())
}
