//! Penn Treebank words against coco-caption's own.

use finecap_metrics::{ptb_tokenize, ptb_tokens};
use proptest::prelude::*;

fn fixture(name: &str) -> String {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    std::fs::read_to_string(format!("{root}/../../fixtures/ptb/{name}")).unwrap()
}

#[test]
fn hard_lines_agree() {
    let (lines, expected) = (fixture("lines.txt"), fixture("expected.txt"));
    assert!(lines.lines().count() > 300);
    for (line, expected) in lines.split('\n').zip(expected.split('\n')) {
        assert_eq!(ptb_tokenize(line), expected, "{line}");
    }
}

proptest! {
    #[test]
    fn any_text_has_words(text in "\\PC{0,80}") {
        prop_assert!(ptb_tokens(&text).iter().all(|token| !token.is_empty()));
    }

    #[test]
    fn plain_lower_case_words_stay_as_they_are(
        words in prop::collection::vec("[b-df-hj-np-tv-xz]{2,3}[aeiou]", 0..12),
    ) {
        let caption = words.join(" ");
        prop_assert_eq!(ptb_tokenize(&caption), caption);
    }
}
