//! CIDEr and CIDEr-D (Vedantam et al. 2015); what coco-caption calls "CIDEr" is CIDEr-D.
//!
//! Counts are weighted by `ln N - ln max(1, df)`, where `df` is the number of images whose
//! references contain the n-gram. CIDEr is the cosine of the weights of candidate and reference.
//! CIDEr-D clips the candidate's weights to the reference's in the product, and damps it by
//! `exp(-δ² / (2 · 6²))`, where δ is the difference of the numbers of **bigrams**, so that neither
//! repeating a good word nor length is rewarded. Both are ten times the mean over `n` up to 4 and
//! over the references. Words are not stemmed, as in the released code of both.

use crate::corpus::{check_sizes, mean};
use crate::ngram::{MAX_N, Ngram, sorted_ngrams};
use crate::word_ids::MoreWords;
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
/// The weights come from the [`Cider`] that prepared them: score with the same one.
#[derive(Debug, Clone)]
pub struct PreparedReferences(Vec<Weighted>);

/// Scores captions with given document frequencies.
#[derive(Debug, Clone)]
pub struct Cider {
    frequencies: DocumentFrequencies,
}

impl Cider {
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
        Ok(prepare(&self.frequencies, references))
    }

    /// CIDEr-D of one candidate, from 0 to 10.
    ///
    /// N-grams that the table does not know weigh as if one image had them; the table itself
    /// never changes.
    pub fn score_d(&self, candidate: &[u32], references: &PreparedReferences) -> f64 {
        scores(&self.frequencies, candidate, references).d
    }

    /// CIDEr of one candidate, from 0 to 10; otherwise as [`score_d`](Self::score_d).
    pub fn score(&self, candidate: &[u32], references: &PreparedReferences) -> f64 {
        scores(&self.frequencies, candidate, references).plain
    }
}

fn prepare(frequencies: &DocumentFrequencies, references: &[Vec<u32>]) -> PreparedReferences {
    PreparedReferences(references.iter().map(|caption| weigh(frequencies, caption)).collect())
}

fn scores(
    frequencies: &DocumentFrequencies,
    candidate: &[u32],
    references: &PreparedReferences,
) -> Both {
    let candidate = weigh(frequencies, candidate);
    let mut sum = Both { plain: 0.0, d: 0.0 };
    for reference in &references.0 {
        let found = similarity(&candidate, reference);
        sum.plain += found.plain;
        sum.d += found.d;
    }
    let n = references.0.len() as f64;
    Both { plain: 10.0 * sum.plain / n, d: 10.0 * sum.d / n }
}

fn weigh(frequencies: &DocumentFrequencies, caption: &[u32]) -> Weighted {
    let ngrams = sorted_ngrams(caption);
    let mut entries = Vec::with_capacity(ngrams.len());
    let mut norms = [0.0; MAX_N];
    for run in ngrams.chunk_by(|a, b| a == b) {
        let weight = run.len() as f64 * frequencies.idf(&run[0]);
        entries.push((run[0], weight));
        norms[run[0].len() - 1] += weight * weight;
    }
    let bigrams = caption.len().saturating_sub(1) as f64;
    Weighted { entries, norms: norms.map(f64::sqrt), bigrams }
}

/// Both scores of the same caption.
struct Both {
    plain: f64,
    d: f64,
}

/// Means over `n` of the cosine, and of the clipped, damped one.
fn similarity(candidate: &Weighted, reference: &Weighted) -> Both {
    let (mut products, mut clipped) = ([0.0; MAX_N], [0.0; MAX_N]);
    let mut others = reference.entries.iter().peekable();
    for (ngram, weight) in &candidate.entries {
        while others.next_if(|(other, _)| other < ngram).is_some() {}
        if let Some((_, other)) = others.next_if(|(other, _)| other == ngram) {
            products[ngram.len() - 1] += weight * other;
            clipped[ngram.len() - 1] += weight.min(*other) * other;
        }
    }
    let (mut plain, mut d) = (0.0, 0.0);
    for n in 0..MAX_N {
        let norms = candidate.norms[n] * reference.norms[n];
        // Zero norms belong to captions shorter than `n` or made of n-grams that all images have.
        if norms > 0.0 {
            plain += products[n] / norms;
            d += clipped[n] / norms;
        }
    }
    let delta = candidate.bigrams - reference.bigrams;
    let damped = (-delta * delta / (2.0 * SIGMA * SIGMA)).exp();
    Both { plain: plain / MAX_N as f64, d: d / MAX_N as f64 * damped }
}

/// CIDEr or CIDEr-D of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct CiderScores {
    /// Mean over the images.
    pub corpus: f64,
    /// One score per image.
    pub per_image: Vec<f64>,
}

/// Both scores of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct Ciders {
    /// CIDEr.
    pub cider: CiderScores,
    /// CIDEr-D, which coco-caption calls CIDEr.
    pub cider_d: CiderScores,
}

/// CIDEr-D of one caption for each image, words separated by whitespace, document frequencies
/// from the references themselves.
///
/// Over a single image every weight is `ln 1 = 0` and so is the score; use [`ciders`] with the
/// frequencies of a larger set there.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn cider_d<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<CiderScores, MetricsError> {
    Ok(ciders(candidates, references, None)?.cider_d)
}

/// CIDEr and CIDEr-D of one caption for each image, words separated by whitespace, with document
/// frequencies that were counted elsewhere, and the numbers of their words; or, with `None`, as
/// [`cider_d`].
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn ciders<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
    frequencies: Option<&(WordIds, DocumentFrequencies)>,
) -> Result<Ciders, MetricsError> {
    check_sizes(candidates, references)?;
    let mut words = MoreWords::new(frequencies.map(|(words, _)| words));
    let references: Vec<Vec<Vec<u32>>> = references
        .iter()
        .map(|captions| captions.as_ref().iter().map(|c| words.caption(c.as_ref())).collect())
        .collect();
    let counted;
    let frequencies = match frequencies {
        Some((_, frequencies)) => frequencies,
        None => {
            counted = DocumentFrequencies::from_references(&references)?;
            &counted
        }
    };
    let (mut plain, mut d) = (Vec::new(), Vec::new());
    let mut last: Option<(&Vec<Vec<u32>>, PreparedReferences)> = None;
    for (candidate, captions) in candidates.iter().zip(&references) {
        // Samples of the same image stand next to each other.
        let (_, prepared) = match last.take() {
            Some(same) if same.0 == captions => last.insert(same),
            _ => last.insert((captions, prepare(frequencies, captions))),
        };
        let found = scores(frequencies, &words.caption(candidate.as_ref()), prepared);
        plain.push(found.plain);
        d.push(found.d);
    }
    let scores = |per_image: Vec<f64>| CiderScores { corpus: mean(&per_image), per_image };
    Ok(Ciders { cider: scores(plain), cider_d: scores(d) })
}
