#![no_main]

use finecap_metrics::{Match, fine_phrases, fine_recall, nltk_tokens, porter_stem, ptb_tokens};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for word in ptb_tokens(text) {
        assert!(!word.is_empty() && !word.contains([' ', '\n']));
    }
    for token in nltk_tokens(text) {
        porter_stem(&token);
    }
    let phrases = fine_phrases(text);
    for how in [Match::Reference, Match::Strict] {
        if let Some(recall) = fine_recall(text, &phrases, how) {
            assert!((0.0..=1.0 + 1e-9).contains(&recall));
        }
    }
});
