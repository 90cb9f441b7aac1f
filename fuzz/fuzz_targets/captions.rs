#![no_main]

// The reader by itself: the command's package would bring all of Burn.
#[allow(dead_code)]
#[path = "../../src/captions.rs"]
mod captions;

use captions::{Candidates, References};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(candidates) = Candidates::parse(text, "fuzz") {
        assert_eq!(candidates.images.len(), candidates.captions.len());
    }
    for split in [None, Some("test")] {
        if let Ok(references) = References::parse(text, split, "fuzz") {
            for place in 0..references.len() {
                assert!(!references.captions(place).is_empty());
                references.find(references.name(place));
            }
        }
    }
});
