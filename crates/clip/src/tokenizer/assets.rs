//! The compressed tables bundled with the crate (`assets/`, written by `fixtures/clip_assets.py`).

use std::io::Read;

use flate2::read::GzDecoder;

/// The text of the merges of CLIP's vocabulary: one pair a line, the most frequent first.
pub(super) fn clip_merges() -> Result<String, String> {
    unpack(include_bytes!("../../assets/clip-merges.txt.gz"))
}

/// HTML's named character references: a name and its code points in hexadecimal on each line.
pub(super) fn html_entities() -> Result<String, String> {
    unpack(include_bytes!("../../assets/html-entities.txt.gz"))
}

/// The text of a bundled table.
fn unpack(bytes: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    (GzDecoder::new(bytes).read_to_string(&mut text))
        .map_err(|reason| format!("a bundled table is damaged: {reason}"))?;
    Ok(text)
}
