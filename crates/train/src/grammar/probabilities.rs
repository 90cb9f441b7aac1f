//! What a grammar head says of captions as people write them.

use burn::tensor::Device;
use finecap_data::caption_words;
use finecap_reward::{GrammarScorer, RewardError};

/// Probability that each caption is a sentence, in order. The head has learned from words without
/// punctuation, which would be unknown to it, and so it is asked about the words.
///
/// # Errors
/// Those of [`GrammarScorer::probabilities`].
pub fn grammar_probabilities<S: AsRef<str>>(
    scorer: &GrammarScorer,
    captions: &[S],
    device: &Device,
) -> Result<Vec<f32>, RewardError> {
    let words = |caption: &S| caption_words(caption.as_ref()).join(" ");
    let texts: Vec<String> = captions.iter().map(words).collect();
    scorer.probabilities(&texts, device)
}
