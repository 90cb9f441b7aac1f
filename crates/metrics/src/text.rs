//! Plain statistics of captions.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// The words of a caption that is already tokenised and lower case: what whitespace separates.
pub fn words(caption: &str) -> impl Iterator<Item = &str> {
    caption.split_whitespace()
}

/// What a set of captions looks like, without any reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextStatistics {
    /// Number of captions.
    pub captions: usize,
    /// Mean length in words.
    pub mean_words: f64,
    /// How many different captions there are; spacing does not make a difference.
    pub distinct: usize,
    /// How many different words they use.
    pub vocabulary: usize,
    /// Different words over all words (distinct-1, Li et al. 2016); 0 without words.
    pub distinct_1: f64,
    /// Different pairs of neighbouring words over all pairs (distinct-2); 0 without pairs.
    pub distinct_2: f64,
    /// Share of the words of a caption that it has said before, over all words; 0 without words.
    pub repetition: f64,
}

impl TextStatistics {
    /// Counts over captions.
    ///
    /// # Errors
    /// [`MetricsError::Empty`] without any caption; captions without words are fine.
    pub fn of<S: AsRef<str>>(captions: &[S]) -> Result<Self, MetricsError> {
        if captions.is_empty() {
            return Err(MetricsError::Empty);
        }
        let split: Vec<Vec<&str>> = captions.iter().map(|c| words(c.as_ref()).collect()).collect();
        let total: usize = split.iter().map(Vec::len).sum();
        let vocabulary = split.iter().flatten().collect::<HashSet<_>>().len();
        let pairs = || split.iter().flat_map(|words| words.windows(2));
        let different: usize =
            split.iter().map(|words| words.iter().collect::<HashSet<_>>().len()).sum();
        let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
        Ok(Self {
            captions: split.len(),
            mean_words: total as f64 / split.len() as f64,
            distinct: split.iter().collect::<HashSet<_>>().len(),
            vocabulary,
            distinct_1: share(vocabulary, total),
            distinct_2: share(pairs().collect::<HashSet<_>>().len(), pairs().count()),
            repetition: share(total - different, total),
        })
    }
}

/// Share of captions that are also among the training captions, word by word; 0 without captions.
///
/// ```
/// let share = finecap_metrics::share_seen(&["a red dog", "a cat"], &["a  red dog", "two cats"]);
/// assert_eq!(share, 0.5);
/// ```
pub fn share_seen<C: AsRef<str>, T: AsRef<str>>(captions: &[C], training: &[T]) -> f64 {
    let joined = |caption: &str| words(caption).collect::<Vec<_>>().join(" ");
    let training: HashSet<String> = training.iter().map(|c| joined(c.as_ref())).collect();
    let seen = captions.iter().filter(|c| training.contains(&joined(c.as_ref()))).count();
    seen as f64 / captions.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_counted() {
        let found = TextStatistics::of(&["a red dog", " a  red dog", "a cat", ""]).unwrap();
        // Pairs: "a red" and "red dog" twice, "a cat" once.
        let expected = TextStatistics {
            captions: 4,
            mean_words: 2.0,
            distinct: 3,
            vocabulary: 4,
            distinct_1: 4.0 / 8.0,
            distinct_2: 3.0 / 5.0,
            repetition: 0.0,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn repetition_counts_words_that_were_said_before() {
        let found = TextStatistics::of(&["on a red red a", "on a"]).unwrap();
        assert_eq!(found.repetition, 2.0 / 7.0);
        let nothing = TextStatistics::of(&[""]).unwrap();
        assert_eq!((nothing.distinct_1, nothing.distinct_2, nothing.repetition), (0.0, 0.0, 0.0));
    }

    #[test]
    fn no_captions_is_an_error() {
        assert_eq!(TextStatistics::of::<&str>(&[]), Err(MetricsError::Empty));
    }
}
