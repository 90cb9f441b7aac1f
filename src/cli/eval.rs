//! `finecap eval`

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::{Args, Subcommand, ValueEnum};
use finecap::captions::{Candidates, References};
use finecap::metrics::{
    BleuScores, Ciders, DocumentFrequencies, Interval, Meteor, MeteorScores, RougeScores,
    TextStatistics, WordIds, bleu, bootstrap, ciders, ptb_tokenize, rouge_l, share_seen,
};
use finecap::reward::{CiderTable, GrammarScorer};
use serde_json::{Map, Value, json};

use super::finecapeval::FineCap;
use super::retrieval::Retrieval;
use super::score::{model_dir, probabilities};

#[derive(Subcommand)]
pub enum Eval {
    /// Score captions of files against reference captions, as coco-caption does.
    Captions(Captions),
    /// Score captions on FineCapEval: how much of what annotators noted do they say?
    Finecap(FineCap),
    /// Let embeddings of images and texts find each other.
    Retrieval(Retrieval),
}

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
    /// Give the mean probability of being a sentence, by the grammar model of this run.
    #[arg(long, value_name = "RUN")]
    grammar: Option<PathBuf>,
    /// Folder with METEOR 1.5's own data, meteor-1.5.jar and data/paraphrase-en.gz, as in
    /// pycocoevalcap's wheel. Without it the environment variable FINECAP_METEOR_DATA is asked.
    #[arg(long, value_name = "DIR")]
    meteor_data: Option<PathBuf>,
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
    /// Resamples of the images, for intervals and significance; 0 for none.
    #[arg(long, default_value_t = 1000)]
    resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// File for all numbers, each image's included (JSON).
    #[arg(long, value_name = "JSON")]
    output: Option<PathBuf>,
    /// Print the numbers as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        match self {
            Self::Captions(captions) => captions.run(device),
            Self::Finecap(finecap) => finecap.run(),
            Self::Retrieval(retrieval) => retrieval.run(),
        }
    }
}

impl Captions {
    fn run(self, device: impl Fn() -> Result<Device>) -> Result<()> {
        let references = References::read(&self.references, self.split.as_deref())?;
        let mut rows = self.matched(&self.candidates, &references)?;
        let mut baseline: Option<Vec<String>> = None;
        if let Some(file) = &self.baseline {
            // Both systems are compared on the images that both have.
            let mut other: HashMap<usize, String> =
                self.matched(file, &references)?.into_iter().collect();
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
        let meteor_data = (self.meteor_data.clone())
            .or_else(|| std::env::var_os("FINECAP_METEOR_DATA").map(PathBuf::from));
        let meteor = meteor_data.as_deref().map(Meteor::load).transpose()?;
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
        let scores = |texts: &[String]| -> Result<Scores> {
            let grammar = match &grammar {
                None => None,
                Some((scorer, device)) => Some(probabilities(scorer, texts, device)?),
            };
            let captions: Vec<String> = texts.iter().map(cut).collect();
            let seen = training.as_ref().map(|training| share_seen(&captions, training));
            Scores::of(
                &captions,
                &references_of,
                meteor.as_ref(),
                frequencies.clone(),
                grammar,
                seen,
            )
        };
        let ours = scores(&texts)?;
        let other = baseline.as_deref().map(scores).transpose()?;
        let all: Vec<usize> = (0..texts.len()).collect();
        let with_difference = |images: &[usize]| {
            let mut numbers = ours.numbers(images);
            if let Some(other) = &other {
                let theirs = other.numbers(images);
                let differences: Vec<f64> =
                    numbers.iter().zip(theirs).map(|(a, b)| a - b).collect();
                numbers.extend(differences);
            }
            numbers
        };
        let intervals = match self.resamples {
            0 => Vec::new(),
            times => bootstrap(texts.len(), times, self.seed, with_difference)?,
        };
        let lines = Lines {
            names: ours.names(),
            ours: ours.numbers(&all),
            other: other.as_ref().map(|other| other.numbers(&all)),
            intervals,
        };

        let whole = lines.json(&ours, &self);
        if let Some(output) = &self.output {
            let images: Map<String, Value> = (places.iter().enumerate())
                .map(|(row, &place)| (references.name(place).into(), ours.image(row, &texts[row])))
                .collect();
            let mut with_images = whole.clone();
            with_images["images"] = images.into();
            finecap::train::write_json(output, &with_images)?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&whole)?);
        } else {
            println!("{} images\n\n{}", texts.len(), lines.table(&ours));
        }
        Ok(())
    }

    /// The captions of a file with the places of their images among the references, in the order
    /// of the references.
    fn matched(&self, file: &Path, references: &References) -> Result<Vec<(usize, String)>> {
        let candidates = Candidates::read(file)?;
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

/// What all captions of one system are worth, image by image.
struct Scores {
    bleu: BleuScores,
    meteor: Option<MeteorScores>,
    rouge: RougeScores,
    ciders: Ciders,
    grammar: Option<Vec<f64>>,
    statistics: TextStatistics,
    /// Share of captions that are training captions too.
    seen: Option<f64>,
}

impl Scores {
    fn of(
        captions: &[String],
        references: &[Vec<String>],
        meteor: Option<&Meteor>,
        frequencies: Option<(WordIds, DocumentFrequencies)>,
        grammar: Option<Vec<f32>>,
        seen: Option<f64>,
    ) -> Result<Self> {
        Ok(Self {
            bleu: bleu(captions, references)?,
            meteor: meteor.map(|meteor| meteor.score(captions, references)).transpose()?,
            rouge: rouge_l(captions, references)?,
            ciders: ciders(captions, references, frequencies)?,
            grammar: grammar.map(|values| values.into_iter().map(f64::from).collect()),
            statistics: TextStatistics::of(captions)?,
            seen,
        })
    }

    fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"];
        names.extend(self.meteor.as_ref().map(|_| "METEOR"));
        names.extend(["ROUGE-L", "CIDEr-D", "CIDEr"]);
        names.extend(self.grammar.as_ref().map(|_| "grammar"));
        names
    }

    /// The scores over some images, in the order of the names.
    fn numbers(&self, images: &[usize]) -> Vec<f64> {
        let mean = |values: &[f64]| {
            images.iter().map(|&image| values[image]).sum::<f64>() / images.len() as f64
        };
        let mut numbers = self.bleu.of(images).to_vec();
        numbers.extend(self.meteor.as_ref().map(|meteor| meteor.of(images)));
        let (d, plain) = (&self.ciders.cider_d.per_image, &self.ciders.cider.per_image);
        numbers.extend([mean(&self.rouge.per_image), mean(d), mean(plain)]);
        numbers.extend(self.grammar.as_deref().map(mean));
        numbers
    }

    fn image(&self, row: usize, caption: &str) -> Value {
        let mut object = Map::from_iter([("caption".to_string(), caption.into())]);
        for (name, number) in self.names().iter().zip(self.numbers(&[row])) {
            object.insert((*name).into(), number.into());
        }
        object.into()
    }
}

/// What is shown.
struct Lines {
    names: Vec<&'static str>,
    ours: Vec<f64>,
    other: Option<Vec<f64>>,
    /// Of the scores, then of the differences to the other system; or nothing.
    intervals: Vec<Interval>,
}

impl Lines {
    fn table(&self, ours: &Scores) -> String {
        let found = &ours.statistics;
        let mut lines = vec![format!("{:<12}{:>9}", "", "score")];
        if !self.intervals.is_empty() {
            lines[0] += &format!("{:>18}", "95 % interval");
        }
        if self.other.is_some() {
            lines[0] += &format!("{:>10}{:>12}{:>8}", "baseline", "difference", "p");
        }
        let bounds = |interval: &Interval| format!("{:.4}..{:.4}", interval.low, interval.high);
        for (i, name) in self.names.iter().enumerate() {
            let mut line = format!("{name:<12}{:>9.4}", self.ours[i]);
            if let Some(interval) = self.intervals.get(i) {
                line += &format!("{:>18}", bounds(interval));
            }
            if let Some(other) = &self.other {
                line += &format!("{:>10.4}{:>+12.4}", other[i], self.ours[i] - other[i]);
                if let Some(interval) = self.intervals.get(self.names.len() + i) {
                    line += &format!("{:>8.3}", interval.p);
                }
            }
            lines.push(line);
        }
        for (name, why) in self.absent() {
            lines.push(format!("{name:<12}{why}"));
        }
        lines.push(String::new());
        lines.push(format!(
            "{} different captions, {} different words, {:.2} words each, distinct-1 {:.4}, distinct-2 {:.4}, repeated words {:.4}",
            found.distinct,
            found.vocabulary,
            found.mean_words,
            found.distinct_1,
            found.distinct_2,
            found.repetition
        ));
        if let Some(seen) = ours.seen {
            lines.push(format!("{:.2} % of the captions are training captions", 100.0 * seen));
        }
        lines.join("\n")
    }

    /// Metrics that people look for and that were not computed, with the reason.
    fn absent(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        NOT_COMPUTED.into_iter().filter(|(name, _)| !self.names.contains(name))
    }

    fn json(&self, ours: &Scores, settings: &Captions) -> Value {
        let text = &ours.statistics;
        let mut scores = Map::new();
        for (i, name) in self.names.iter().enumerate() {
            let mut score = json!({ "score": self.ours[i] });
            if let Some(interval) = self.intervals.get(i) {
                score["interval"] = json!([interval.low, interval.high]);
            }
            if let Some(other) = &self.other {
                score["baseline"] = other[i].into();
                score["difference"] = (self.ours[i] - other[i]).into();
                if let Some(interval) = self.intervals.get(self.names.len() + i) {
                    score["difference_interval"] = json!([interval.low, interval.high]);
                    score["p"] = interval.p.into();
                }
            }
            scores.insert((*name).into(), score);
        }
        for (name, why) in self.absent() {
            scores.insert(name.into(), why.into());
        }
        json!({
            "count": text.captions,
            "candidates": settings.candidates,
            "references": settings.references,
            "baseline": settings.baseline,
            "tokenizer": if settings.tokenizer == Tokenizer::Ptb { "ptb" } else { "spaces" },
            "resamples": settings.resamples,
            "seed": settings.seed,
            "scores": scores,
            "frequencies": settings.frequencies,
            "text": text,
            "share_seen_in_training": ours.seen,
        })
    }
}

/// Why metrics that people look for may not be there: never a zero.
const NOT_COMPUTED: [(&str, &str); 3] = [
    ("METEOR", "not available: give the METEOR 1.5 data with --meteor-data DIR"),
    ("SPICE", "not computed"),
    ("BERTScore", "not computed"),
];
