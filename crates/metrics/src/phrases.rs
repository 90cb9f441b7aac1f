//! Recall of fine-grained phrases.

use std::collections::HashSet;

use crate::words;

/// Share of the words of each phrase that a caption has, averaged over the phrases (the word
/// recall of FineCapEval, with whole words); `None` without phrases.
///
/// ```
/// let phrases = ["small red star", "ring"];
/// let recall = finecap_metrics::phrase_recall("a red star on a plain background", &phrases);
/// assert_eq!(recall, Some((2.0 / 3.0 + 0.0) / 2.0));
/// ```
pub fn phrase_recall<S: AsRef<str>>(caption: &str, phrases: &[S]) -> Option<f64> {
    let said: HashSet<&str> = words(caption).collect();
    let shares: Vec<f64> = phrases
        .iter()
        .filter_map(|phrase| {
            let phrase: Vec<&str> = words(phrase.as_ref()).collect();
            let found = phrase.iter().filter(|word| said.contains(*word)).count();
            (!phrase.is_empty()).then(|| found as f64 / phrase.len() as f64)
        })
        .collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_count() {
        assert_eq!(phrase_recall("a scarred card", &["red car"]), Some(0.0));
        assert_eq!(phrase_recall("", &["red car"]), Some(0.0));
        assert_eq!(phrase_recall("a red car", &["", "red car"]), Some(1.0));
        assert_eq!(phrase_recall::<&str>("a red car", &[]), None);
    }
}
