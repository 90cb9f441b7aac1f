//! Document frequencies of n-grams.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::MetricsError;
use crate::ngram::{Ngram, sorted_ngrams};

/// In how many images' references each n-gram of one to four words occurs.
///
/// Words are numbers, so a table means something only together with the [`WordIds`] that gave
/// them: save both. The saved form is sorted and therefore the same every time.
///
/// [`WordIds`]: crate::WordIds
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct DocumentFrequencies {
    images: usize,
    counts: FxHashMap<Ngram, u32>,
}

/// What is saved: the counts in the order of the n-grams.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    images: usize,
    counts: Vec<(Vec<u32>, u32)>,
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
        let mut counts = FxHashMap::default();
        let mut ngrams = Vec::new();
        for (image, captions) in references.iter().enumerate() {
            if captions.is_empty() {
                return Err(MetricsError::NoReferences { image });
            }
            // Samples of the same image stand next to each other.
            if image == 0 || references[image - 1] != *captions {
                ngrams.clear();
                ngrams.extend(captions.iter().flat_map(|caption| sorted_ngrams(caption)));
                // Once per image, however many of its captions have it.
                ngrams.sort_unstable();
                ngrams.dedup();
            }
            for &ngram in &ngrams {
                *counts.entry(ngram).or_insert(0) += 1;
            }
        }
        Ok(Self { images: references.len(), counts })
    }

    /// A table counted elsewhere: the number of images, and for each n-gram the number of images
    /// whose references contain it.
    ///
    /// # Errors
    /// [`MetricsError::Empty`] for no images, [`MetricsError::Table`] for an n-gram that has not
    /// one to four words, comes twice, or occurs in no image or in more than there are.
    pub fn from_counts(images: usize, counts: &[(Vec<u32>, u32)]) -> Result<Self, MetricsError> {
        if images == 0 {
            return Err(MetricsError::Empty);
        }
        let mut table = FxHashMap::default();
        for (words, count) in counts {
            let wrong = || MetricsError::Table { words: words.clone(), count: *count, images };
            let ngram = Ngram::new(words).ok_or_else(wrong)?;
            let possible = *count > 0 && *count as usize <= images;
            if !possible || table.insert(ngram, *count).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self { images, counts: table })
    }

    /// Number of images counted.
    pub fn images(&self) -> usize {
        self.images
    }

    /// `ln N - ln max(1, df)`: an n-gram that is not in the table weighs as if one image had it.
    pub(crate) fn idf(&self, ngram: &Ngram) -> f64 {
        let df = self.counts.get(ngram).copied().unwrap_or(1);
        (self.images as f64).ln() - f64::from(df).ln()
    }
}

impl From<DocumentFrequencies> for Table {
    fn from(frequencies: DocumentFrequencies) -> Self {
        let mut sorted: Vec<(Ngram, u32)> = frequencies.counts.into_iter().collect();
        sorted.sort_unstable();
        let counts = sorted.into_iter().map(|(ngram, df)| (ngram.words().to_vec(), df)).collect();
        Self { images: frequencies.images, counts }
    }
}

impl TryFrom<Table> for DocumentFrequencies {
    type Error = MetricsError;

    fn try_from(table: Table) -> Result<Self, MetricsError> {
        Self::from_counts(table.images, &table.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ngram_counts_once_per_image() {
        let references = [vec![vec![1, 1], vec![1]], vec![vec![2]]];
        let counted = DocumentFrequencies::from_references(&references).unwrap();
        let given = [(vec![1], 1), (vec![2], 1), (vec![1, 1], 1)];
        assert_eq!(counted, DocumentFrequencies::from_counts(2, &given).unwrap());
    }

    #[test]
    fn a_saved_table_is_sorted_and_comes_back() {
        let given = [(vec![3, 1], 1), (vec![9], 2), (vec![2], 1)];
        let table = DocumentFrequencies::from_counts(2, &given).unwrap();
        let saved = serde_json::to_string(&table).unwrap();
        assert_eq!(saved, r#"{"images":2,"counts":[[[2],1],[[9],2],[[3,1],1]]}"#);
        assert_eq!(serde_json::from_str::<DocumentFrequencies>(&saved).unwrap(), table);
    }

    #[test]
    fn an_impossible_table_is_refused() {
        let refused = |counts: &[(Vec<u32>, u32)]| {
            matches!(
                DocumentFrequencies::from_counts(2, counts),
                Err(MetricsError::Table { images: 2, .. })
            )
        };
        assert!(refused(&[(vec![], 1)]));
        assert!(refused(&[(vec![1; 5], 1)]));
        assert!(refused(&[(vec![1], 3)]));
        assert!(refused(&[(vec![1], 0)]));
        assert!(refused(&[(vec![1], 1), (vec![1], 2)]));
        assert_eq!(DocumentFrequencies::from_counts(0, &[]), Err(MetricsError::Empty));
        let saved = r#"{"images":1,"counts":[[[2],5]]}"#;
        assert!(serde_json::from_str::<DocumentFrequencies>(saved).is_err());
    }
}
