//! CIDEr-D (Vedantam et al. 2015) as coco-caption computes it under the name "CIDEr".
//!
//! Counts are weighted by `ln N - ln max(1, df)`, where `df` is the number of images whose
//! references contain the n-gram. For each `n` up to 4 the candidate's weights are clipped to the
//! reference's, multiplied with them, divided by both norms, and damped by `exp(-δ² / (2 · 6²))`,
//! where δ is the difference of the numbers of **bigrams**. The score is ten times the mean over
//! `n` and over the references.

use crate::corpus::{check_sizes, mean};
use crate::ngram::{MAX_N, Ngram, sorted_ngrams};
use crate::{DocumentFrequencies, MetricsError, WordIds};

/// Width of the length penalty.
const SIGMA: f64 = 6.0;

/// A caption as weighted n-gram counts.
#[derive(Debug, Clone)]
struct Weighted {
    /// Weighted counts, sorted by n-gram: shorter n-grams first.
    entries: Vec<(Ngram, f64)>,
    /// Norm of the weights of each `n`.
    norms: [f64; MAX_N],
    bigrams: f64,
}

/// The references of one image, ready to compare candidates with.
///
/// The weights come from the [`CiderD`] that prepared them: score with the same one.
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
    ///
    /// N-grams that the table does not know weigh as if one image had them; the table itself
    /// never changes.
    pub fn score(&self, candidate: &[u32], references: &PreparedReferences) -> f64 {
        let candidate = self.weigh(candidate);
        let sum: f64 = references.0.iter().map(|r| similarity(&candidate, r)).sum();
        10.0 * sum / references.0.len() as f64
    }

    fn weigh(&self, caption: &[u32]) -> Weighted {
        let ngrams = sorted_ngrams(caption);
        let mut entries = Vec::with_capacity(ngrams.len());
        let mut norms = [0.0; MAX_N];
        for run in ngrams.chunk_by(|a, b| a == b) {
            let weight = run.len() as f64 * self.frequencies.idf(&run[0]);
            entries.push((run[0], weight));
            norms[run[0].len() - 1] += weight * weight;
        }
        let bigrams = caption.len().saturating_sub(1) as f64;
        Weighted { entries, norms: norms.map(f64::sqrt), bigrams }
    }
}

/// Mean over `n` of the clipped, damped cosine.
fn similarity(candidate: &Weighted, reference: &Weighted) -> f64 {
    let mut products = [0.0; MAX_N];
    let mut others = reference.entries.iter().peekable();
    for (ngram, weight) in &candidate.entries {
        while others.next_if(|(other, _)| other < ngram).is_some() {}
        if let Some((_, other)) = others.next_if(|(other, _)| other == ngram) {
            products[ngram.len() - 1] += weight.min(*other) * other;
        }
    }
    let mut sum = 0.0;
    for (n, product) in products.into_iter().enumerate() {
        let norms = candidate.norms[n] * reference.norms[n];
        // Zero norms belong to captions shorter than `n` or made of n-grams that all images have.
        sum += if norms > 0.0 { product / norms } else { 0.0 };
    }
    let delta = candidate.bigrams - reference.bigrams;
    sum / MAX_N as f64 * (-delta * delta / (2.0 * SIGMA * SIGMA)).exp()
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
/// Over a single image every weight is `ln 1 = 0` and so is the score; use [`CiderD`] with the
/// frequencies of a larger set there.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn cider_d<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<CiderScores, MetricsError> {
    check_sizes(candidates, references)?;
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
    Ok(CiderScores { corpus: mean(&per_image), per_image })
}
