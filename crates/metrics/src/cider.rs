//! CIDEr-D (Vedantam et al. 2015) as coco-caption computes it under the name "CIDEr".
//!
//! Counts are weighted by `ln N - ln max(1, df)`, where `df` is the number of images whose
//! references contain the n-gram. For each `n` up to 4 the candidate's counts are clipped to the
//! reference's, multiplied, divided by both norms, and damped by `exp(-δ² / (2 · 6²))`, where δ is
//! the difference of the numbers of **bigrams**. The score is ten times the mean over `n` and over
//! the references.

use std::collections::{HashMap, HashSet};

use crate::ngram::{MAX_N, Ngram, count};
use crate::{MetricsError, WordIds};

/// Width of the length penalty.
const SIGMA: f64 = 6.0;

/// In how many images' references each n-gram occurs.
#[derive(Debug, Clone, Default)]
pub struct DocumentFrequencies {
    images: usize,
    counts: HashMap<Ngram, u32>,
}

impl DocumentFrequencies {
    /// Counts over the references of every image, words as numbers.
    ///
    /// # Errors
    /// [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
    pub fn from_references(references: &[Vec<Vec<u32>>]) -> Result<Self, MetricsError> {
        if references.is_empty() {
            return Err(MetricsError::Empty);
        }
        let mut counts = HashMap::new();
        for (image, captions) in references.iter().enumerate() {
            if captions.is_empty() {
                return Err(MetricsError::NoReferences { image });
            }
            let ngrams: HashSet<Ngram> =
                captions.iter().flat_map(|caption| count(caption).into_keys()).collect();
            for ngram in ngrams {
                *counts.entry(ngram).or_insert(0) += 1;
            }
        }
        Ok(Self { images: references.len(), counts })
    }

    /// Number of images counted.
    pub fn images(&self) -> usize {
        self.images
    }

    fn idf(&self, ngram: &Ngram) -> f64 {
        let df = self.counts.get(ngram).copied().unwrap_or(0).max(1);
        (self.images as f64).ln() - f64::from(df).ln()
    }
}

/// A caption as weighted n-gram counts.
#[derive(Debug, Clone)]
struct Weighted {
    /// Weighted counts of each `n`, sorted by n-gram.
    entries: [Vec<(Ngram, f64)>; MAX_N],
    norms: [f64; MAX_N],
    bigrams: u32,
}

/// The references of one image, ready to compare candidates with.
#[derive(Debug, Clone)]
pub struct PreparedReferences(Vec<Weighted>);

/// Scores captions with given document frequencies.
#[derive(Debug, Clone)]
pub struct CiderD {
    frequencies: DocumentFrequencies,
}

impl CiderD {
    /// A scorer with the document frequencies of the references at hand, or of a larger set.
    pub fn new(frequencies: DocumentFrequencies) -> Self {
        Self { frequencies }
    }

    /// Weighs the references of one image once, for any number of candidates.
    ///
    /// # Errors
    /// [`MetricsError::NoReferences`] for an empty list (as image 0).
    pub fn prepare(&self, references: &[Vec<u32>]) -> Result<PreparedReferences, MetricsError> {
        if references.is_empty() {
            return Err(MetricsError::NoReferences { image: 0 });
        }
        Ok(PreparedReferences(references.iter().map(|caption| self.weigh(caption)).collect()))
    }

    /// CIDEr-D of one candidate, from 0 to 10.
    pub fn score(&self, candidate: &[u32], references: &PreparedReferences) -> f64 {
        let candidate = self.weigh(candidate);
        let sum: f64 = references.0.iter().map(|r| similarity(&candidate, r)).sum();
        10.0 * sum / references.0.len() as f64
    }

    fn weigh(&self, caption: &[u32]) -> Weighted {
        let mut entries: [Vec<(Ngram, f64)>; MAX_N] = Default::default();
        let mut norms = [0.0; MAX_N];
        let mut bigrams = 0;
        for (ngram, tf) in count(caption) {
            let n = usize::from(ngram.n) - 1;
            let weight = f64::from(tf) * self.frequencies.idf(&ngram);
            entries[n].push((ngram, weight));
            norms[n] += weight * weight;
            if ngram.n == 2 {
                bigrams += tf;
            }
        }
        Weighted { entries, norms: norms.map(f64::sqrt), bigrams }
    }
}

/// Mean over `n` of the clipped, damped cosine.
fn similarity(candidate: &Weighted, reference: &Weighted) -> f64 {
    let delta = f64::from(candidate.bigrams) - f64::from(reference.bigrams);
    let penalty = (-delta * delta / (2.0 * SIGMA * SIGMA)).exp();
    let mut sum = 0.0;
    for n in 0..MAX_N {
        let mut product = 0.0;
        let mut others = reference.entries[n].iter().peekable();
        for (ngram, weight) in &candidate.entries[n] {
            while others.next_if(|(other, _)| other < ngram).is_some() {}
            if let Some((_, other)) = others.next_if(|(other, _)| other == ngram) {
                product += weight.min(*other) * other;
            }
        }
        let norms = candidate.norms[n] * reference.norms[n];
        if norms != 0.0 {
            product /= norms;
        }
        sum += product * penalty;
    }
    sum / MAX_N as f64
}

/// CIDEr-D of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct CiderScores {
    /// Mean over the images.
    pub corpus: f64,
    /// One score per image.
    pub per_image: Vec<f64>,
}

/// CIDEr-D of one caption for each image, words separated by whitespace, document frequencies
/// from the references themselves.
///
/// Over a single image every weight is `ln 1 = 0` and so is the score.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn cider_d<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<CiderScores, MetricsError> {
    if candidates.len() != references.len() {
        let (candidates, references) = (candidates.len(), references.len());
        return Err(MetricsError::Lengths { candidates, references });
    }
    let mut words = WordIds::default();
    let references: Vec<Vec<Vec<u32>>> = references
        .iter()
        .map(|captions| captions.as_ref().iter().map(|c| words.caption(c.as_ref())).collect())
        .collect();
    let scorer = CiderD::new(DocumentFrequencies::from_references(&references)?);
    let per_image = candidates
        .iter()
        .zip(&references)
        .map(|(candidate, captions)| {
            let prepared = scorer.prepare(captions)?;
            Ok(scorer.score(&words.caption(candidate.as_ref()), &prepared))
        })
        .collect::<Result<Vec<f64>, MetricsError>>()?;
    let corpus = per_image.iter().sum::<f64>() / per_image.len() as f64;
    Ok(CiderScores { corpus, per_image })
}
