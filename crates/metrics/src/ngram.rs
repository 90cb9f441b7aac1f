//! N-grams of up to four words.

/// Longest n-gram that the metrics look at.
pub(crate) const MAX_N: usize = 4;

/// An n-gram: its length and its words, unused places 0.
///
/// The length comes first in the order, so that a sorted list holds all single words, then all
/// pairs, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ngram {
    n: u8,
    words: [u32; MAX_N],
}

impl Ngram {
    /// The n-gram of some words, unless there are none or more than [`MAX_N`].
    pub(crate) fn new(words: &[u32]) -> Option<Self> {
        if words.is_empty() || words.len() > MAX_N {
            return None;
        }
        let mut key = Self { n: words.len() as u8, words: [0; MAX_N] };
        key.words[..words.len()].copy_from_slice(words);
        Some(key)
    }

    /// How many words it has, from 1 to [`MAX_N`].
    pub(crate) fn len(&self) -> usize {
        usize::from(self.n)
    }

    /// Its words.
    pub(crate) fn words(&self) -> &[u32] {
        &self.words[..self.len()]
    }
}

/// Every n-gram of a caption, sorted; one that occurs twice is there twice.
///
/// The order is fixed, so that sums come out the same to the last bit every time.
pub(crate) fn sorted_ngrams(words: &[u32]) -> Vec<Ngram> {
    let mut ngrams = Vec::with_capacity(words.len() * MAX_N);
    for n in 1..=MAX_N {
        ngrams.extend(words.windows(n).filter_map(Ngram::new));
    }
    ngrams.sort_unstable();
    ngrams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ngrams_come_sorted_by_length_then_words() {
        let ngrams = sorted_ngrams(&[7, 0, 7]);
        let words: Vec<&[u32]> = ngrams.iter().map(Ngram::words).collect();
        assert_eq!(words, [&[0][..], &[7], &[7], &[0, 7], &[7, 0], &[7, 0, 7]]);
    }

    #[test]
    fn word_zero_is_not_mistaken_for_an_unused_place() {
        assert_ne!(Ngram::new(&[0]), Ngram::new(&[0, 0]));
        assert_eq!((Ngram::new(&[]), Ngram::new(&[1; 5])), (None, None));
    }
}
