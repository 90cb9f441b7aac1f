//! Token ids against open_clip's.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use finecap_clip::ClipTokenizer;
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

const CONTEXT: usize = 77;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture() -> Value {
    let path = workspace().join("fixtures/tokenizer.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Cut and padded with zeros, as open_clip returns ids.
fn padded(mut ids: Vec<u32>) -> Vec<u32> {
    ids.resize(CONTEXT, 0);
    ids
}

#[test]
fn hard_captions() {
    let tokenizer = ClipTokenizer::openai().unwrap();
    assert_eq!(tokenizer.vocab_size(), 49408);
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id()), (49406, 49407));
    let mut wrong = Vec::new();
    for case in fixture()["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> =
            case["ids"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect();
        let ids = padded(tokenizer.encode(text, CONTEXT).unwrap());
        if ids != expected {
            wrong.push((text.to_string(), ids, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn truncation_keeps_the_end_token() {
    let tokenizer = ClipTokenizer::openai().unwrap();
    for length in [2, 3, 10, 77] {
        let ids = tokenizer.encode(&"word ".repeat(200), length).unwrap();
        assert_eq!(ids.len(), length);
        assert_eq!((ids[0], ids[length - 1]), (49406, 49407));
    }
    assert_eq!(tokenizer.encode("", 77).unwrap(), [49406, 49407]);
}

#[test]
fn a_batch_equals_single_captions() {
    let tokenizer = ClipTokenizer::openai().unwrap();
    let texts = ["a dog", "", "two small dogs on a red couch"];
    let batch = tokenizer.encode_batch(&texts, CONTEXT).unwrap();
    for (text, ids) in texts.iter().zip(batch) {
        assert_eq!(ids, tokenizer.encode(text, CONTEXT).unwrap());
    }
}

#[test]
fn whole_caption_files() {
    let data = workspace().join("../shared/data");
    if !data.is_dir() {
        println!("skipped: there is no folder {}", data.display());
        return;
    }
    let tokenizer = ClipTokenizer::openai().unwrap();
    for (name, expected) in fixture()["files"].as_object().unwrap() {
        let captions = read_captions(&data.join(name));
        assert_eq!(captions.len() as u64, expected["captions"].as_u64().unwrap(), "{name}");
        let mut digest = Sha256::new();
        for ids in tokenizer.encode_batch(&captions, CONTEXT).unwrap() {
            padded(ids).iter().for_each(|id| digest.update(id.to_le_bytes()));
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, expected["sha256"].as_str().unwrap(), "{name}");
        println!("{name}: {} captions agree", captions.len());
    }
}

fn read_captions(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "gz") {
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        return text.split('\n').filter(|l| !l.is_empty()).map(str::to_string).collect();
    }
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_string();
    match json["annotations"].as_array() {
        Some(annotations) => annotations.iter().map(|a| text(&a["caption"])).collect(),
        None => {
            let images = json["images"].as_array().unwrap().iter();
            images.flat_map(|i| i["sentences"].as_array().unwrap()).map(|s| text(&s["raw"])).collect()
        }
    }
}

#[test]
fn a_vocabulary_of_words_survives_a_folder() {
    let words = "a large red star above a small ring".split(' ');
    let tokenizer = ClipTokenizer::from_words(words).unwrap();
    // Seven different words, the unknown word, start and end.
    assert_eq!(tokenizer.vocab_size(), 10);
    assert_eq!(tokenizer.encode("A red  RING", 9).unwrap(), [8, 0, 2, 6, 9]);
    assert_eq!(tokenizer.encode("a blue ring", 9).unwrap(), [8, 0, 7, 6, 9]);
    let dir = tempfile::tempdir().unwrap();
    tokenizer.save(dir.path()).unwrap();
    let again = ClipTokenizer::from_file(&dir.path().join("tokenizer.json")).unwrap();
    assert_eq!(again.encode("a blue ring", 9).unwrap(), [8, 0, 7, 6, 9]);
    assert_eq!(again.vocab_size(), 10);
}

#[test]
fn bad_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokenizer.json");
    let message = |path: &Path| ClipTokenizer::from_file(path).unwrap_err().to_string();
    assert!(message(&path).contains("tokenizer.json"));
    fs::write(&path, "{}").unwrap();
    assert!(message(&path).contains("tokenizer.json"));
    let empty: [&str; 0] = [];
    assert!(ClipTokenizer::from_words(empty).is_err());
}
