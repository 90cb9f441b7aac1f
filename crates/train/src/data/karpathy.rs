//! Karpathy's `dataset_coco.json`, read strictly.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Dataset, ImageRecord, ImageSource, Split};
use crate::TrainError;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    filename: String,
    #[serde(default)]
    filepath: String,
    split: Split,
    sentences: Vec<Sentence>,
    /// An extension of ours: descriptions for the CLIP phase.
    #[serde(default)]
    alt_texts: Vec<String>,
}

#[derive(Deserialize)]
struct Sentence {
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    raw: String,
}

impl Dataset {
    /// Reads a JSON file in Karpathy's schema; pictures are looked for below `images`, under
    /// `filepath/filename`, or under `filename` alone where that does not exist.
    ///
    /// Captions are the `tokens`, lower-cased; where a sentence has none, `raw` is split at what
    /// is not a letter, digit, apostrophe or hyphen.
    ///
    /// # Errors
    /// A missing or malformed file, an image without captions, an empty caption, a name that
    /// occurs twice, a picture that does not exist: each with file and entry.
    pub fn karpathy(json: &Path, images: &Path) -> Result<Self, TrainError> {
        let text = fs::read_to_string(json).map_err(TrainError::io("read", json))?;
        let file: File = serde_json::from_str(&text).map_err(|e| {
            TrainError::file(json, format!("is not a data set in Karpathy's schema: {e}"))
        })?;
        if !images.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(TrainError::io("read the image folder", images)(source));
        }
        let mut names = HashSet::new();
        let mut records = Vec::with_capacity(file.images.len());
        for (i, image) in file.images.into_iter().enumerate() {
            let entry = |problem: &str| {
                TrainError::file(json, format!("images[{i}] ({}) {problem}", image.filename))
            };
            let nested = Path::new(&image.filepath).join(&image.filename);
            let mut path = images.join(&nested);
            let mut name = nested.to_string_lossy().into_owned();
            if !image.filepath.is_empty() && !path.is_file() {
                path = images.join(&image.filename);
                name = image.filename.clone();
            }
            if !path.is_file() {
                let problem =
                    format!("has no picture at {}: pass the right image folder", path.display());
                return Err(entry(&problem));
            }
            if !names.insert(name.clone()) {
                return Err(entry("occurs twice: give every image a name of its own"));
            }
            if image.sentences.is_empty() {
                return Err(entry(
                    "has no captions: add at least one sentence or remove the image",
                ));
            }
            let mut captions = Vec::with_capacity(image.sentences.len());
            for (s, sentence) in image.sentences.iter().enumerate() {
                let words = words(sentence);
                if words.is_empty() {
                    let problem =
                        format!("has an empty caption in sentences[{s}]: remove or fill it");
                    return Err(entry(&problem));
                }
                captions.push(words.join(" "));
            }
            records.push(ImageRecord {
                name,
                source: ImageSource::File(path),
                split: image.split,
                captions,
                alt_texts: image.alt_texts,
            });
        }
        if records.is_empty() {
            return Err(TrainError::file(json, "holds no images"));
        }
        Ok(Self { images: records })
    }
}

fn words(sentence: &Sentence) -> Vec<String> {
    let clean = |word: &str| word.trim().to_lowercase();
    let words: Vec<String> = if sentence.tokens.is_empty() {
        let inside = |c: char| c.is_alphanumeric() || c == '\'' || c == '-';
        sentence.raw.split(|c| !inside(c)).map(clean).collect()
    } else {
        sentence.tokens.iter().flat_map(|token| token.split_whitespace()).map(clean).collect()
    };
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Dataset, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dataset.json");
        fs::write(&path, json).unwrap();
        image::RgbImage::new(2, 2).save(dir.path().join("a.png")).unwrap();
        Dataset::karpathy(&path, dir.path())
    }

    #[test]
    fn tokens_and_raw_text_are_read() {
        let json = r#"{"images": [{"filename": "a.png", "split": "restval", "imgid": 3,
            "sentences": [{"tokens": ["A", "dog"]}, {"raw": "It's a well-fed dog, isn't it?"}]}]}"#;
        let dataset = read(json).unwrap();
        assert_eq!(dataset.images[0].captions, ["a dog", "it's a well-fed dog isn't it"]);
        assert_eq!(dataset.split(Split::Train), [0]);
    }

    #[test]
    fn bad_entries_are_named() {
        for (json, expected) in [
            (
                r#"{"images": [{"filename": "a.png", "split": "train", "sentences": []}]}"#,
                "no captions",
            ),
            (
                r#"{"images": [{"filename": "a.png", "split": "train", "sentences": [{"tokens": [" "]}]}]}"#,
                "sentences[0]",
            ),
            (
                r#"{"images": [{"filename": "b.png", "split": "train", "sentences": [{"raw": "x"}]}]}"#,
                "images[0] (b.png) has no picture",
            ),
            (r#"{"images": [{"filename": "a.png", "split": "dev", "sentences": []}]}"#, "dev"),
            (r#"{"images": []}"#, "no images"),
            ("[]", "Karpathy"),
        ] {
            let message = read(json).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("dataset.json"), "{message}");
        }
    }
}
