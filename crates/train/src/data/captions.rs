//! Captions without pictures: plain text, gzipped text, or COCO's annotation files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use super::karpathy::caption_words;
use super::{Dataset, ImageRecord, ImageSource, Split};
use crate::TrainError;

#[derive(Deserialize)]
struct Annotations {
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    caption: String,
}

impl Dataset {
    /// Reads captions and holds every `1 / holdout`-th picture out for validation, so that no
    /// picture is described on both sides.
    ///
    /// A file that begins with `{` is JSON in COCO's schema (`annotations` with `image_id` and
    /// `caption`); every other file holds one caption a line, and may be gzipped. Line `i` of all
    /// text files is taken to be about the same picture, as in data sets that keep one file for
    /// each caption of a picture. Empty lines are passed over.
    ///
    /// # Errors
    /// A file that cannot be read, is malformed or holds no captions; nothing held out.
    pub fn captions(files: &[PathBuf], holdout: f64) -> Result<Self, TrainError> {
        // Sorted, so that the order of the files does not matter to what is held out.
        let mut groups: BTreeMap<(&'static str, u64), Vec<String>> = BTreeMap::new();
        for path in files {
            let mut found = false;
            for (key, caption) in read(path)? {
                let words = caption_words(&caption);
                if !words.is_empty() {
                    groups.entry(key).or_default().push(words.join(" "));
                    found = true;
                }
            }
            if !found {
                return Err(TrainError::file(path, "holds no captions"));
            }
        }
        let every = (1.0 / holdout.clamp(1e-6, 0.5)).round() as usize;
        let images: Vec<ImageRecord> = groups
            .into_iter()
            .enumerate()
            .map(|(i, ((kind, number), captions))| ImageRecord {
                name: format!("{kind} {number}"),
                source: ImageSource::None,
                split: if i % every == every - 1 { Split::Val } else { Split::Train },
                captions,
                alt_texts: Vec::new(),
            })
            .collect();
        let dataset = Self { images };
        if dataset.split(Split::Val).is_empty() {
            return Err(TrainError::setting(
                "grammar.holdout",
                format!(
                    "is {holdout}, which holds out nothing of {} groups of captions: give more captions or a larger share",
                    dataset.images.len()
                ),
            ));
        }
        Ok(dataset)
    }
}

/// Captions with the picture they are about.
type Keyed = Vec<((&'static str, u64), String)>;

fn read(path: &Path) -> Result<Keyed, TrainError> {
    let file = File::open(path).map_err(TrainError::io("read", path))?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(TrainError::io("read", path))?;
    let gzipped = start.starts_with(&[0x1f, 0x8b]);
    if start.trim_ascii_start().first() == Some(&b'{') {
        let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        let file: Annotations = serde_json::from_str(&text).map_err(|e| {
            TrainError::file(path, format!("is not a caption file in COCO's schema: {e}"))
        })?;
        let captions = file.annotations.into_iter();
        return Ok(captions.map(|a| (("image", a.image_id), a.caption)).collect());
    }
    let reader: Box<dyn Read> =
        if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let lines = BufReader::new(reader).lines();
    lines
        .enumerate()
        .map(|(number, line)| {
            let line = line.map_err(|e| {
                TrainError::file(path, format!("line {} cannot be read: {e}", number + 1))
            })?;
            Ok((("line", number as u64 + 1), line))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn text_gzip_and_coco_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..20).map(|i| format!("A dog no. {i}.\n")).collect();
        let plain = dir.path().join("a.txt");
        fs::write(&plain, &text).unwrap();
        let zipped = dir.path().join("b.en.gz");
        let mut encoder = GzEncoder::new(File::create(&zipped).unwrap(), Default::default());
        encoder.write_all(text.replace("dog", "cat").as_bytes()).unwrap();
        encoder.finish().unwrap();
        let coco = dir.path().join("c.json");
        fs::write(
            &coco,
            r#"{"images": [], "annotations": [
                {"id": 1, "image_id": 7, "caption": "Two men, talking. "},
                {"id": 2, "image_id": 7, "caption": "It's two men"}]}"#,
        )
        .unwrap();
        let dataset = Dataset::captions(&[plain, zipped, coco], 0.1).unwrap();
        assert_eq!(dataset.images.len(), 21);
        let by_name = |name: &str| dataset.images.iter().find(|i| i.name == name).unwrap();
        assert_eq!(by_name("line 1").captions, ["a dog no 0", "a cat no 0"]);
        assert_eq!(by_name("image 7").captions, ["two men talking", "it's two men"]);
        assert_eq!(dataset.split(Split::Val).len(), 2);
        let error = dataset.images[0].source.load().unwrap_err().to_string();
        assert!(error.contains("no picture"), "{error}");
    }

    #[test]
    fn bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            Dataset::captions(&[path], 0.05).unwrap_err().to_string()
        };
        for (name, bytes, expected) in [
            ("empty.txt", &b"\n  \n"[..], "empty.txt: holds no captions"),
            ("broken.json", b"{\"annotations\": [{\"image_id\": 1}]}", "missing field `caption`"),
            ("broken.gz", &[0x1f, 0x8b, 8, 0, 1], "broken.gz: line 1"),
            ("few.txt", b"a dog\n", "`grammar.holdout`"),
        ] {
            let message = write(name, bytes);
            assert!(message.contains(expected), "{message}");
        }
        let missing = Dataset::captions(&[dir.path().join("none.txt")], 0.05).unwrap_err();
        assert!(missing.to_string().contains("none.txt"));
    }
}
