//! ROUGE-L (Lin 2004) as coco-caption computes it.
//!
//! The longest common subsequence with each reference gives a precision and a recall; the best
//! precision and the best recall, which may belong to different references, are joined to
//! `(1 + β²) P R / (R + β² P)` with β = 1.2.

use crate::corpus::{check_sizes, mean};
use crate::{MetricsError, WordIds};

/// How much recall counts beside precision.
const BETA: f64 = 1.2;

/// ROUGE-L of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct RougeScores {
    /// Mean over the images.
    pub corpus: f64,
    /// One score per image.
    pub per_image: Vec<f64>,
}

/// ROUGE-L of one caption, words as numbers, from 0 to 1; 0 without references.
///
/// ```
/// let score = finecap_metrics::sentence_rouge_l(&[1, 2, 3], &[vec![1, 2, 3]]);
/// assert_eq!(score, 1.0);
/// ```
pub fn sentence_rouge_l(candidate: &[u32], references: &[Vec<u32>]) -> f64 {
    let (mut precision, mut recall) = (0.0f64, 0.0f64);
    for reference in references {
        let common = longest_common_subsequence(candidate, reference) as f64;
        precision = precision.max(common / candidate.len().max(1) as f64);
        recall = recall.max(common / reference.len().max(1) as f64);
    }
    if precision == 0.0 || recall == 0.0 {
        return 0.0;
    }
    (1.0 + BETA * BETA) * precision * recall / (recall + BETA * BETA * precision)
}

fn longest_common_subsequence(a: &[u32], b: &[u32]) -> usize {
    // One row of the table: lengths for the words of `a` so far and every beginning of `b`.
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (place, other) in b.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if word == other { diagonal + 1 } else { above.max(row[place]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// ROUGE-L of one caption for each image, words separated by single spaces: a no-break space does
/// not separate, and an empty caption has one empty word, which only another empty one shares.
///
/// # Errors
/// [`MetricsError::Lengths`], [`MetricsError::NoReferences`] and [`MetricsError::Empty`].
pub fn rouge_l<C: AsRef<str>, R: AsRef<str>>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<RougeScores, MetricsError> {
    check_sizes(candidates, references)?;
    let mut words = WordIds::default();
    let mut ids = |caption: &str| -> Vec<u32> { caption.split(' ').map(|w| words.id(w)).collect() };
    let per_image: Vec<f64> = (candidates.iter().zip(references))
        .map(|(candidate, captions)| {
            let captions: Vec<Vec<u32>> =
                captions.as_ref().iter().map(|c| ids(c.as_ref())).collect();
            sentence_rouge_l(&ids(candidate.as_ref()), &captions)
        })
        .collect();
    Ok(RougeScores { corpus: mean(&per_image), per_image })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::example::{CAPTIONS, REFERENCES};

    /// The numbers are pycocoevalcap's.
    #[test]
    fn three_captions_score_as_in_coco_caption() {
        let scores = rouge_l(&CAPTIONS, &REFERENCES).unwrap();
        let expected = [0.5570776255707762, 0.8090185676392573, 0.0];
        for (found, expected) in scores.per_image.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{scores:?}");
        }
        assert!((scores.corpus - 0.45536539773667783).abs() < 1e-12);
    }

    #[test]
    fn the_best_precision_and_recall_may_come_from_different_references() {
        // The first contains the caption, the second is contained in it.
        let score = sentence_rouge_l(&[1, 2, 3], &[vec![1, 2, 3, 4, 5, 6], vec![2]]);
        assert_eq!(score, 1.0);
    }

    #[test]
    fn order_counts_and_gaps_do_not() {
        assert_eq!(longest_common_subsequence(&[1, 9, 2, 9, 3], &[1, 2, 3]), 3);
        assert_eq!(longest_common_subsequence(&[3, 2, 1], &[1, 2, 3]), 1);
        assert_eq!(longest_common_subsequence(&[], &[1]), 0);
    }

    #[test]
    fn single_spaces_separate_and_empty_captions_share_only_emptiness() {
        let score = |candidate, reference| rouge_l(&[candidate], &[[reference]]).unwrap().corpus;
        assert_eq!((score("", "a"), score("", "")), (0.0, 1.0));
        assert_eq!((score("1\u{a0}2", "1 2"), score("1 2", "1 2")), (0.0, 1.0));
        assert_eq!(sentence_rouge_l(&[], &[vec![1]]), 0.0);
        assert!(rouge_l(&["a"], &[vec![] as Vec<&str>]).is_err());
    }
}
