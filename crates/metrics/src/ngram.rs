//! N-grams of up to four words.

use std::collections::BTreeMap;

/// Longest n-gram that the metrics look at.
pub(crate) const MAX_N: usize = 4;

/// An n-gram: its length and its words, unused places 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ngram {
    pub n: u8,
    words: [u32; MAX_N],
}

/// How often each n-gram of a caption occurs, in the order of the n-grams.
///
/// The order is fixed, so that sums come out the same to the last bit every time.
pub(crate) fn count(words: &[u32]) -> BTreeMap<Ngram, u32> {
    let mut counts = BTreeMap::new();
    for n in 1..=MAX_N {
        for window in words.windows(n) {
            let mut key = Ngram { n: n as u8, words: [0; MAX_N] };
            key.words[..n].copy_from_slice(window);
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    counts
}
