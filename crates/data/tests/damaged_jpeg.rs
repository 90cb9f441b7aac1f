//! Damaged JPEG files are errors or pictures, whatever is wrong with them.

use std::path::Path;

use finecap_data::decode_image;

/// Numbers that repeat from run to run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn no_change_of_a_jpeg_panics() {
    let dir =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../fixtures/preprocess");
    let rounds = std::env::var("FINECAP_ROUNDS").map_or(200, |n| n.parse().unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jpg"))
        .collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    for path in files {
        let original = std::fs::read(&path).unwrap();
        for _ in 0..rounds {
            let mut bytes = original.clone();
            for _ in 0..1 + next(&mut state) % 4 {
                let at = (next(&mut state) as usize) % bytes.len();
                // Headers are short beside the picture, and more can be wrong in them.
                let at = if next(&mut state).is_multiple_of(2) { at.min(at % 700) } else { at };
                bytes[at] = next(&mut state) as u8;
            }
            // An error and a picture are both fine.
            let _ = decode_image(&bytes, "damaged");
        }
    }
}
