//! The compressed tables bundled with the crate (`assets/`, written by `fixtures/clip_assets.py`).

use std::io::Read;

use flate2::read::GzDecoder;

/// The text of the merges of CLIP's vocabulary: one pair a line, the most frequent first.
pub(super) fn clip_merges() -> String {
    unpack(include_bytes!("../../assets/clip-merges.txt.gz"))
}

/// HTML's named character references: a name and its code points in hexadecimal on each line.
pub(super) fn html_entities() -> String {
    unpack(include_bytes!("../../assets/html-entities.txt.gz"))
}

/// The text of a bundled table; its bytes are part of the program, so they cannot be damaged.
fn unpack(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .expect("a bundled table is whole");
    text
}
