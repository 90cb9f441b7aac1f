//! BLEU (Papineni et al. 2002) as coco-caption computes it.
//!
//! N-gram counts are clipped to the largest count in any one reference; precisions are smoothed by
//! `(correct + 1e-15) / (guessed + 1e-9)` and multiplied up to each length; the brevity penalty
//! compares with the reference length that is closest, of two equally close ones the shorter.

use rustc_hash::FxHashMap;

use crate::corpus::check_sizes;
use crate::ngram::{MAX_N, Ngram, sorted_ngrams};
use crate::{MetricsError, WordIds};

/// Keeps precisions of 0 from making the product 0.
const TINY: f64 = 1e-15;
/// Keeps captions shorter than `n` from dividing by 0.
const SMALL: f64 = 1e-9;

/// What BLEU needs to know of a caption and its references; adds up over a corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Statistics {
    length: usize,
    reference_length: usize,
    guessed: [usize; MAX_N],
    correct: [usize; MAX_N],
}

impl Statistics {
    fn of(candidate: &[u32], references: &[Vec<u32>]) -> Self {
        let mut most: FxHashMap<Ngram, usize> = FxHashMap::default();
        for reference in references {
            for run in sorted_ngrams(reference).chunk_by(|a, b| a == b) {
                let count = most.entry(run[0]).or_default();
                *count = run.len().max(*count);
            }
        }
        let mut found = Self {
            length: candidate.len(),
            reference_length: (references.iter().map(Vec::len))
                .min_by_key(|length| (length.abs_diff(candidate.len()), *length))
                .unwrap_or(0),
            ..Self::default()
        };
        for (n, guessed) in found.guessed.iter_mut().enumerate() {
            *guessed = candidate.len().saturating_sub(n);
        }
        for run in sorted_ngrams(candidate).chunk_by(|a, b| a == b) {
            let allowed = most.get(&run[0]).copied().unwrap_or(0);
            found.correct[run[0].len() - 1] += run.len().min(allowed);
        }
        found
    }

    fn add(&mut self, other: &Self) {
        self.length += other.length;
        self.reference_length += other.reference_length;
        for n in 0..MAX_N {
            self.guessed[n] += other.guessed[n];
            self.correct[n] += other.correct[n];
        }
    }

    /// BLEU-1 to BLEU-4.
    fn scores(&self) -> [f64; MAX_N] {
        let mut product = 1.0;
        let ratio = (self.length as f64 + TINY) / (self.reference_length as f64 + SMALL);
        let brevity = if ratio < 1.0 { (1.0 - 1.0 / ratio).exp() } else { 1.0 };
        std::array::from_fn(|n| {
            product *= (self.correct[n] as f64 + TINY) / (self.guessed[n] as f64 + SMALL);
            product.powf(1.0 / (n + 1) as f64) * brevity
        })
    }
}

/// BLEU-1 to BLEU-4 of one caption, words as numbers.
///
/// ```
/// let scores = finecap_metrics::sentence_bleu(&[1, 2, 3, 4], &[vec![1, 2, 3, 4]]);
/// assert!((scores[3] - 1.0).abs() < 1e-8);
/// ```
pub fn sentence_bleu(candidate: &[u32], references: &[Vec<u32>]) -> [f64; MAX_N] {
    Statistics::of(candidate, references).scores()
}

/// BLEU of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct BleuScores {
    /// BLEU-1 to BLEU-4 of the whole set, from summed counts.
    pub corpus: [f64; MAX_N],
    /// BLEU-1 to BLEU-4 of each caption.
    pub per_image: Vec<[f64; MAX_N]>,
    statistics: Vec<Statistics>,
}

impl BleuScores {
    /// BLEU-1 to BLEU-4 of some of the images, by their places, any of them several times.
    ///
    /// # Panics
    /// For a place that there is none of.
    pub fn of(&self, images: &[usize]) -> [f64; MAX_N] {
        let mut total = Statistics::default();
        images.iter().for_each(|&image| total.add(&self.statistics[image]));
        total.scores()
    }
}

/// BLEU of one caption for each image, words separated by whitespace.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn bleu<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<BleuScores, MetricsError> {
    check_sizes(candidates, references)?;
    let mut words = WordIds::default();
    let mut total = Statistics::default();
    let mut statistics = Vec::with_capacity(candidates.len());
    for (candidate, captions) in candidates.iter().zip(references) {
        let captions: Vec<Vec<u32>> =
            captions.as_ref().iter().map(|c| words.caption(c.as_ref())).collect();
        let found = Statistics::of(&words.caption(candidate.as_ref()), &captions);
        total.add(&found);
        statistics.push(found);
    }
    let per_image = statistics.iter().map(Statistics::scores).collect();
    Ok(BleuScores { corpus: total.scores(), per_image, statistics })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::example::{CAPTIONS, REFERENCES};

    /// The numbers are pycocoevalcap's.
    #[test]
    fn three_captions_score_as_in_coco_caption() {
        let scores = bleu(&CAPTIONS, &REFERENCES).unwrap();
        let expected =
            [0.5493671917421421, 0.4913689541306118, 0.2833047029977293, 4.161106472029651e-5];
        for (found, expected) in scores.corpus.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{scores:?}");
        }
        assert_eq!(scores.per_image.len(), 3);
        assert_eq!(scores.of(&[2, 0, 1]), scores.corpus);
        assert_eq!(scores.of(&[1]), scores.per_image[1]);
        assert!(scores.per_image[2][3] < 1e-9);
    }

    #[test]
    fn of_two_equally_close_lengths_the_shorter_counts() {
        // Length 3 against 2 and 4: no brevity penalty.
        let scores = sentence_bleu(&[1, 2, 3], &[vec![1, 2, 3, 4], vec![1, 2]]);
        assert!((scores[0] - 1.0).abs() < 1e-8, "{scores:?}");
    }

    #[test]
    fn an_empty_caption_scores_nothing() {
        assert!(sentence_bleu(&[], &[vec![1, 2]])[3].abs() < 1e-9);
    }

    #[test]
    fn counts_that_do_not_fit_are_errors() {
        assert!(bleu(&["a"], &[vec!["a"], vec!["b"]]).is_err());
        assert!(bleu::<&str, &str>(&["a"], &[vec![]]).is_err());
        assert!(bleu::<&str, &str>(&[], &[] as &[Vec<&str>]).is_err());
    }
}
