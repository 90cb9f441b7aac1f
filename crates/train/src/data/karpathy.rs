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
    /// `filepath/filename`, or under `filename` alone where that does not exist. Without `images`
    /// only the captions are read.
    ///
    /// Captions are the `tokens`, lower-cased; where a sentence has none, `raw` is split at what
    /// is not a letter, digit, apostrophe or hyphen.
    ///
    /// # Errors
    /// A missing or malformed file, an image without captions, an empty caption, a name that
    /// occurs twice, a picture that does not exist: each with file and entry.
    pub fn karpathy(json: &Path, images: Option<&Path>) -> Result<Self, TrainError> {
        let text = fs::read_to_string(json).map_err(TrainError::io("read", json))?;
        let file: File = serde_json::from_str(&text).map_err(|e| {
            TrainError::file(json, format!("is not a data set in Karpathy's schema: {e}"))
        })?;
        if let Some(images) = images.filter(|images| !images.is_dir()) {
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
            let mut name = nested.to_string_lossy().into_owned();
            let mut source = ImageSource::None;
            if let Some(images) = images {
                let mut path = images.join(&nested);
                if !image.filepath.is_empty() && !path.is_file() {
                    path = images.join(&image.filename);
                    name = image.filename.clone();
                }
                if !path.is_file() {
                    let problem = format!(
                        "has no picture at {}: pass the right image folder",
                        path.display()
                    );
                    return Err(entry(&problem));
                }
                source = ImageSource::File(path);
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
                source,
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
    if sentence.tokens.is_empty() {
        return caption_words(&sentence.raw);
    }
    let words = sentence.tokens.iter().flat_map(|token| token.split_whitespace());
    words.map(str::to_lowercase).collect()
}

/// The words of an untokenised caption, in lower case, as every phase of training reads it: it is
/// split at what is not a letter, digit, apostrophe or hyphen.
///
/// ```
/// assert_eq!(finecap_train::caption_words("A man's T-shirt, red."), ["a", "man's", "t-shirt", "red"]);
/// ```
pub fn caption_words(caption: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || c == '\'' || c == '-';
    let words = caption.split(|c| !inside(c));
    let words = words.filter(|word| word.contains(char::is_alphanumeric));
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Dataset, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dataset.json");
        fs::write(&path, json).unwrap();
        image::RgbImage::new(2, 2).save(dir.path().join("a.png")).unwrap();
        Dataset::karpathy(&path, Some(dir.path()))
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
    fn captions_can_be_read_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dataset.json");
        let json = r#"{"images": [{"filename": "none.png", "split": "val",
            "sentences": [{"raw": "A dog."}]}]}"#;
        fs::write(&path, json).unwrap();
        let dataset = Dataset::karpathy(&path, None).unwrap();
        assert_eq!(dataset.images[0].captions, ["a dog"]);
        assert!(dataset.images[0].source.load().is_err());
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
