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
        Ok(Self {
            captions: split.len(),
            mean_words: total as f64 / split.len() as f64,
            distinct: split.iter().collect::<HashSet<_>>().len(),
            vocabulary: split.iter().flatten().collect::<HashSet<_>>().len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_counted() {
        let found = TextStatistics::of(&["a red dog", " a  red dog", "a cat", ""]).unwrap();
        let expected = TextStatistics { captions: 4, mean_words: 2.0, distinct: 3, vocabulary: 4 };
        assert_eq!(found, expected);
    }

    #[test]
    fn no_captions_is_an_error() {
        assert_eq!(TextStatistics::of::<&str>(&[]), Err(MetricsError::Empty));
    }
}
