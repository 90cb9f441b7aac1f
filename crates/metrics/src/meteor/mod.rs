//! METEOR 1.5 for English: words that match as they are, by stem, as synonyms or as paraphrases,
//! aligned in few chunks; a harmonic mean of precision and recall that favours recall, less a
//! penalty for many chunks.

mod ahead;
mod align;
mod data;
mod normalize;
mod paraphrases;
mod search;
mod statistics;
mod synonyms;

use std::path::PathBuf;

use rust_stemmers::{Algorithm, Stemmer};
use rustc_hash::FxHashSet;

use self::align::{Aligner, Word};
use self::normalize::Normalizer;
use self::paraphrases::Phrases;
pub use self::statistics::MeteorStatistics;
use self::statistics::Sum;
use self::synonyms::Synonyms;
use crate::MetricsError;
use crate::corpus::check_sizes;

/// METEOR 1.5 (Denkowski and Lavie 2014) for English, as pycocoevalcap runs it.
///
/// Its data are the user's own copy: WordNet's synonyms and word lists from `meteor-1.5.jar`, and
/// the paraphrase table. Only the paraphrases that some captions can use are held, so the table is
/// read from the disk each time that captions are scored; this takes about a second.
///
/// ```no_run
/// # fn main() -> Result<(), finecap_metrics::MetricsError> {
/// use finecap_metrics::{Meteor, ptb_tokenize};
///
/// let meteor = Meteor::load("pycocoevalcap/meteor".as_ref())?;
/// // coco-caption cuts captions into Penn Treebank words first.
/// let captions = [ptb_tokenize("A dog runs.")];
/// let references = [[ptb_tokenize("A hound is running!")]];
/// println!("{}", meteor.score(&captions, &references)?.corpus);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Meteor {
    table: PathBuf,
    normalizer: Normalizer,
    function_words: FxHashSet<String>,
    synonyms: Synonyms,
}

impl Meteor {
    /// METEOR of one caption for each image, words separated by whitespace.
    ///
    /// Of several references the one with the best score counts, the first of equals.
    ///
    /// # Errors
    /// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`];
    /// [`MetricsError::MeteorData`] if the paraphrase table can't be read.
    pub fn score<C: AsRef<str>, R: AsRef<str>>(
        &self,
        candidates: &[C],
        references: &[impl AsRef<[R]>],
    ) -> Result<MeteorScores, MetricsError> {
        check_sizes(candidates, references)?;
        let mut phrases = Phrases::default();
        let mut cut = |text: &str| phrases.caption(&self.normalizer.normalize(text));
        let images: Vec<(Vec<u32>, Vec<Vec<u32>>)> = (candidates.iter().zip(references))
            .map(|(candidate, references)| {
                // `|||` stands between captions where pycocoevalcap hands them to the jar.
                let candidate = candidate.as_ref().replace("|||", "").replace("  ", " ");
                let references = references.as_ref().iter().flat_map(|r| r.as_ref().split("|||"));
                (cut(&candidate), references.map(&mut cut).collect())
            })
            .collect();
        let paraphrases = self.paraphrases(&phrases)?;
        let list: Vec<String> = phrases.words.into();
        let stemmer = Stemmer::create(Algorithm::English);
        let words: Vec<Word> = list.iter().map(|word| self.word(word, &stemmer)).collect();
        let aligner = Aligner { words: &words, paraphrases: &paraphrases };
        let best = |(candidate, references): &(Vec<u32>, Vec<Vec<u32>>)| {
            let mut best = (MeteorStatistics::default(), -1.0);
            for reference in references {
                let statistics = aligner.align(candidate, reference);
                let score = statistics.score();
                if score > best.1 {
                    best = (statistics, score);
                }
            }
            best
        };
        let (statistics, per_image): (Vec<MeteorStatistics>, Vec<f64>) =
            images.iter().map(best).unzip();
        let mut scores = MeteorScores { corpus: 0.0, per_image, statistics };
        scores.corpus = scores.sum(0..candidates.len());
        Ok(scores)
    }

    fn word(&self, word: &str, stemmer: &Stemmer) -> Word {
        Word {
            hash: hash(word),
            stem_hash: hash(&stemmer.stem(word)),
            synsets: self.synonyms.sets(word).into(),
            is_function: self.function_words.contains(word),
        }
    }
}

/// Java's hash of a string, by which the original compares words.
fn hash(word: &str) -> i32 {
    word.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// METEOR of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct MeteorScores {
    /// METEOR of the whole set, from summed counts.
    pub corpus: f64,
    /// METEOR of each caption.
    pub per_image: Vec<f64>,
    /// Counts of each caption beside its best reference.
    pub statistics: Vec<MeteorStatistics>,
}

impl MeteorScores {
    /// METEOR of some of the images, by their places, any of them several times.
    ///
    /// # Panics
    /// For a place that there is none of.
    pub fn of(&self, images: &[usize]) -> f64 {
        self.sum(images.iter().copied())
    }

    fn sum(&self, images: impl Iterator<Item = usize>) -> f64 {
        let mut sum = Sum::default();
        images.for_each(|image| sum.add(&self.statistics[image]));
        sum.score()
    }
}
