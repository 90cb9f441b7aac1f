//! The tokenizer against open_clip's (`fixtures/tokenizer.py`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use finecap_clip::{ClipError, ClipTokenizer};
use flate2::Crc;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

const CONTEXT: usize = 77;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
    digests: BTreeMap<String, Digest>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Digest {
    captions: usize,
    crc32: u32,
}

fn workspace() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

fn fixture() -> Fixture {
    let text = fs::read_to_string(workspace().join("fixtures/tokenizer_cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn hard_captions_have_open_clips_ids() {
    let tokenizer = ClipTokenizer::openai().unwrap();
    assert_eq!(tokenizer.vocab_size(), 49_408);
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()), (49_406, 49_407, 0));
    let cases = fixture().cases;
    assert!(cases.len() > 50);
    for case in &cases {
        assert_eq!(tokenizer.encode(&case.text, CONTEXT).unwrap(), case.ids, "{:?}", case.text);
    }
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    let ids: Vec<Vec<u32>> = cases.iter().map(|case| case.ids.clone()).collect();
    assert_eq!(tokenizer.encode_batch(&texts, CONTEXT).unwrap(), ids);
}

/// Reads the captions of one of the optional data files.
fn captions(path: &Path) -> Vec<String> {
    let strings = |values: Vec<&Value>| -> Vec<String> {
        values.iter().map(|value| value.as_str().unwrap().to_string()).collect()
    };
    if path.extension().is_some_and(|extension| extension == "gz") {
        let lines = BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines();
        return lines.map(Result::unwrap).collect();
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    match json.get("annotations") {
        Some(annotations) => {
            strings(annotations.as_array().unwrap().iter().map(|a| &a["caption"]).collect())
        }
        None => {
            let images = json["images"].as_array().unwrap().iter();
            let sentences = images.flat_map(|image| image["sentences"].as_array().unwrap());
            strings(sentences.map(|sentence| &sentence["raw"]).collect())
        }
    }
}

/// To run it: `FINECAP_CAPTION_FILES=DIR cargo test --release --workspace --test tokenizer --
/// --ignored`, where DIR holds the files that `fixtures/tokenizer.py` was given.
#[test]
#[ignore = "needs the caption files that FINECAP_CAPTION_FILES names; the comment above says how"]
fn whole_caption_files_have_open_clips_ids() {
    let data = std::env::var_os("FINECAP_CAPTION_FILES").map(PathBuf::from);
    let data = data.expect("FINECAP_CAPTION_FILES names the folder with the caption files");
    let tokenizer = ClipTokenizer::openai().unwrap();
    for (name, expected) in fixture().digests {
        let captions = captions(&data.join(&name));
        let mut crc = Crc::new();
        for ids in tokenizer.encode_batch(&captions, CONTEXT).unwrap() {
            let mut row = [0; 2 * CONTEXT];
            for (bytes, id) in row.chunks_exact_mut(2).zip(ids) {
                bytes.copy_from_slice(&u16::try_from(id).unwrap().to_le_bytes());
            }
            crc.update(&row);
        }
        let got = Digest { captions: captions.len(), crc32: crc.sum() };
        assert_eq!(got, expected, "{name}");
        println!("{name}: {} captions, same ids", captions.len());
    }
}

#[test]
fn truncation_keeps_the_end_token() {
    let tokenizer = ClipTokenizer::openai().unwrap();
    let (bos, eos) = (tokenizer.bos_id(), tokenizer.eos_id());
    let whole = tokenizer.encode("a red circle left of a small blue square", CONTEXT).unwrap();
    assert_eq!(whole.len(), 11);
    let cut = tokenizer.encode("a red circle left of a small blue square", 5).unwrap();
    assert_eq!(cut, [&whole[..4], &[eos]].concat());
    assert_eq!(tokenizer.encode("a red circle", 2).unwrap(), [bos, eos]);
    assert_eq!(tokenizer.encode("a red circle", 1).unwrap(), [eos]);
    assert!(tokenizer.encode("a red circle", 0).unwrap().is_empty());
}

#[test]
fn words_get_ids_by_first_appearance() {
    let tokenizer = ClipTokenizer::from_words(["a Red circle", "a", "blue", "square."]).unwrap();
    // pad 0, unk 1, a 2, red 3, circle 4, blue 5, square 6, "." 7, start 8, end 9.
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()), (8, 9, 0));
    assert_eq!(tokenizer.vocab_size(), 10);
    assert_eq!(tokenizer.encode("A blue  SQUARE.\n", 16).unwrap(), [8, 2, 5, 6, 7, 9]);
    assert_eq!(tokenizer.encode("a green circle", 16).unwrap(), [8, 2, 1, 4, 9]);
    assert_eq!(tokenizer.encode("", 16).unwrap(), [8, 9]);
    assert_eq!(tokenizer.encode("a red circle", 4).unwrap(), [8, 2, 3, 9]);
    // A special token's name is three words that nobody knows.
    assert_eq!(tokenizer.encode("<|endoftext|> <|pad|>", 16).unwrap(), [8, 1, 1, 1, 1, 1, 1, 9]);
    let empty = ClipTokenizer::from_words(["", " "]).unwrap_err().to_string();
    assert!(empty.contains("at least one word"), "{empty}");
}

#[test]
fn both_kinds_survive_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let captions = ["A red circle &amp; a “blue” square", "<|endoftext|>", "<end_of_text>", ""];
    for tokenizer in [
        ClipTokenizer::openai().unwrap(),
        ClipTokenizer::from_words(["a red circle", "blue square"]).unwrap(),
    ] {
        tokenizer.save(folder.path()).unwrap();
        let first = fs::read(&path).unwrap();
        let read = ClipTokenizer::from_file(&path).unwrap();
        assert_eq!(read.vocab_size(), tokenizer.vocab_size());
        assert_eq!((read.bos_id(), read.eos_id()), (tokenizer.bos_id(), tokenizer.eos_id()));
        for caption in captions {
            assert_eq!(
                read.encode(caption, CONTEXT).unwrap(),
                tokenizer.encode(caption, CONTEXT).unwrap()
            );
        }
        read.save(folder.path()).unwrap();
        assert!(first == fs::read(&path).unwrap(), "a second save writes the same bytes");
        assert!(folder.path().join("tokenizer_config.json").is_file());
    }
}

#[test]
fn unusable_files_are_named_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let missing = ClipTokenizer::from_file(&path).unwrap_err();
    assert!(matches!(missing, ClipError::Io { .. }), "{missing}");
    assert!(missing.to_string().contains("tokenizer.json"), "{missing}");

    ClipTokenizer::from_words(["cat"]).unwrap().save(folder.path()).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    for (text, reason) in [
        ("", "not a tokenizer.json"),
        ("{}", "not a tokenizer.json"),
        (&whole[..whole.len() / 2], "not a tokenizer.json"),
        (&whole.replace("<|endoftext|>", "<end>"), "lacks the token <|endoftext|>"),
        (&whole.replace("\"unk_token\":\"<|unk|>\"", "\"unk_token\":\"?\""), "unknown token ?"),
    ] {
        fs::write(&path, text).unwrap();
        let error = ClipTokenizer::from_file(&path).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("tokenizer.json"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_caption_fits_between_start_and_end(
        caption in r"(\PC|[ \t\n]|&[a-z#x0-9]{1,6};?|<end_of_text>|'s){0,60}",
        context in 2usize..90,
    ) {
        for tokenizer in [
            ClipTokenizer::openai().unwrap(),
            ClipTokenizer::from_words(["a cat sat"]).unwrap(),
        ] {
            let ids = tokenizer.encode(&caption, context).unwrap();
            prop_assert!((2..=context).contains(&ids.len()));
            prop_assert_eq!(ids[0], tokenizer.bos_id());
            prop_assert_eq!(ids[ids.len() - 1], tokenizer.eos_id());
            prop_assert!(ids.iter().all(|id| (*id as usize) < tokenizer.vocab_size()));
        }
    }
}
