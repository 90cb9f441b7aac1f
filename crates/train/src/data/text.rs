//! Captions without pictures, for the grammar head.

use std::collections::BTreeMap;
use std::path::PathBuf;

use finecap_data::{CaptionFile, CaptionText, ReadOptions, Split};

use super::{Dataset, ImageRecord, ImageSource};
use crate::TrainError;

/// What captions are about, in the order in which images are held out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// An image with a number.
    Number(u64),
    /// A line of a file that names no images.
    Line(u64),
    /// Any other image.
    Name(String),
}

impl About {
    fn of(name: String) -> Self {
        let line = name.strip_prefix("line ").and_then(|line| line.parse().ok());
        match (line, name.parse()) {
            (Some(line), _) => Self::Line(line),
            (None, Ok(number)) => Self::Number(number),
            (None, Err(_)) => Self::Name(name),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Number(number) => format!("image {number}"),
            Self::Line(line) => format!("line {line}"),
            Self::Name(name) => name,
        }
    }
}

impl Dataset {
    /// Reads captions and holds every `1 / holdout`-th picture out for validation, so that no
    /// picture is described on both sides.
    ///
    /// Files may be of any format, or plain text with one caption a line. Line `i` of all text files
    /// is taken to be about the same picture, as in data sets that keep one file for each caption
    /// of a picture. Captions without words are passed over.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a file that can't be read or holds no captions;
    /// [`TrainError::Setting`] if nothing is held out.
    pub fn captions(files: &[PathBuf], holdout: f64) -> Result<Self, TrainError> {
        Ok(Self::texts(files, holdout, &ReadOptions::default())?.0)
    }

    /// As [`captions`](Self::captions), with options; returns what was passed over, too.
    ///
    /// # Errors
    /// Those of [`captions`](Self::captions).
    pub fn texts(
        files: &[PathBuf],
        holdout: f64,
        options: &ReadOptions,
    ) -> Result<(Self, Vec<String>), TrainError> {
        let options = ReadOptions { captions_only: true, lenient: true, ..options.clone() };
        let mut notes = Vec::new();
        // Sorted, so that the order of the files does not matter to what is held out.
        let mut groups: BTreeMap<About, Vec<String>> = BTreeMap::new();
        for path in files {
            let file = CaptionFile::read(path, &options)?;
            notes.extend(file.notes.iter().map(|note| format!("{}: {note}", path.display())));
            let mut found = false;
            for record in file.records {
                let words = record.captions.iter().map(CaptionText::words);
                let words: Vec<String> = words.filter(|words| !words.is_empty()).collect();
                if !words.is_empty() {
                    groups.entry(About::of(record.name)).or_default().extend(words);
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
            .map(|(i, (about, captions))| ImageRecord {
                name: about.name(),
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
        Ok((dataset, notes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
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
                {"id": 2, "image_id": 7, "caption": "It's two men"},
                {"id": 3, "image_id": "img8", "caption": "."},
                {"id": 4, "image_id": "img8", "caption": "A bus"}]}"#,
        )
        .unwrap();
        let dataset = Dataset::captions(&[plain, zipped, coco], 0.1).unwrap();
        assert_eq!(dataset.images.len(), 22);
        let by_name = |name: &str| dataset.images.iter().find(|i| i.name == name).unwrap();
        assert_eq!(by_name("line 1").captions, ["a dog no 0", "a cat no 0"]);
        assert_eq!(by_name("image 7").captions, ["two men talking", "it's two men"]);
        assert_eq!(by_name("img8").captions, ["a bus"]);
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
            ("empty.txt", &b"\n  \n"[..], "empty.txt: is empty"),
            ("marks.txt", b"...\n!\n", "marks.txt: holds no captions"),
            ("broken.json", b"{\"annotations\": [{\"image_id\": 1}]}", "`caption` is missing"),
            ("broken.gz", &[0x1f, 0x8b, 8, 0, 1], "broken.gz: is a gzip file that was cut off"),
            ("few.txt", b"a dog\n", "`grammar.holdout`"),
        ] {
            let message = write(name, bytes);
            assert!(message.contains(expected), "{message}");
        }
        let missing = Dataset::captions(&[dir.path().join("none.txt")], 0.05).unwrap_err();
        assert!(missing.to_string().contains("none.txt"));
    }
}
