//! Data sets from files of captions.

use std::collections::BTreeMap;
use std::path::Path;

use finecap_data::{CaptionFile, CaptionText, Format, PictureFolder, ReadOptions, Record, Split};

use super::{Dataset, ImageRecord, ImageSource};
use crate::TrainError;

impl Dataset {
    /// Reads a file of captions with the default options, see [`read`](Self::read).
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn karpathy(file: &Path, images: Option<&Path>) -> Result<Self, TrainError> {
        Ok(Self::read(file, images, &ReadOptions::default())?.0)
    }

    /// Reads a file of captions in any format, and finds the pictures below `images` by the one rule
    /// for names ([`Names`](finecap_data::Names)). Without `images` only the captions are read, but
    /// for shards, which hold the pictures themselves.
    /// Images without a split are for training.
    ///
    /// Captions are the tokens, in lower case; where the file has none, [`caption_words`]. Captions
    /// without words, images without captions and images of the split `none` are left out, and with
    /// [`ReadOptions::lenient`] images without a picture; the sentences that are returned say so.
    ///
    /// [`caption_words`]: finecap_data::caption_words
    ///
    /// # Errors
    /// [`TrainError::Data`] for a file that can't be read, pictures that are not there or could be
    /// those of two images, and splits that mean nothing to training.
    pub fn read(
        file: &Path,
        images: Option<&Path>,
        options: &ReadOptions,
    ) -> Result<(Self, Vec<String>), TrainError> {
        let CaptionFile { records, mut notes, format, .. } =
            CaptionFile::read(file, &ReadOptions { words_only: true, ..options.clone() })?;
        let mut left_out = LeftOut::default();
        let pictures = match images {
            Some(dir) => {
                let folder = PictureFolder::read(dir)?;
                let found = folder.find_all(records.iter())?;
                Some((folder, found))
            }
            None => None,
        };
        let mut dataset = Self { images: Vec::with_capacity(records.len()) };
        for (i, record) in records.into_iter().enumerate() {
            let (mut name, mut source) = (record.name.clone(), ImageSource::None);
            if format == Format::Shards {
                let Some(picture) = &record.picture else {
                    left_out.add("samples have no picture", &name);
                    continue;
                };
                source = ImageSource::Shard(picture.clone());
            } else if let Some((folder, found)) = &pictures {
                match &found[i] {
                    Some(below) => {
                        name.clone_from(below);
                        source = ImageSource::File(folder.path(below));
                    }
                    None if options.lenient => {
                        left_out.add("images have no picture", &name);
                        continue;
                    }
                    None => return Err(folder.missing(&name).into()),
                }
            }
            let Some(split) = split(&record, file)? else {
                left_out.add("images have the split `none`", &name);
                continue;
            };
            let all = record.captions.len();
            let words = record.captions.iter().map(CaptionText::words);
            let captions: Vec<String> = words.filter(|words| !words.is_empty()).collect();
            if captions.len() < all {
                left_out.add("images have captions without words", &name);
            }
            if captions.is_empty() {
                left_out.add("images have no captions", &name);
                continue;
            }
            dataset.images.push(ImageRecord {
                name,
                source,
                split,
                captions,
                alt_texts: record.alt_texts,
            });
        }
        notes.extend(left_out.notes());
        if dataset.images.is_empty() {
            let what = format!("holds no image that can be used; {}", notes.join("; "));
            return Err(TrainError::file(file, what));
        }
        Ok((dataset, notes))
    }
}

fn split(record: &Record, file: &Path) -> Result<Option<Split>, TrainError> {
    let Some(name) = &record.split else { return Ok(Some(Split::Train)) };
    match Split::from_name(name) {
        Some(split) => Ok(Some(split)),
        None if name.eq_ignore_ascii_case("none") => Ok(None),
        None => {
            let what = format!(
                "image `{}` has the split `{name}`: it must be train, restval, val, test or none",
                record.name
            );
            Err(TrainError::file(file, what))
        }
    }
}

/// How many images were left out for each reason, and the first.
#[derive(Default)]
struct LeftOut(BTreeMap<&'static str, (usize, String)>);

impl LeftOut {
    fn add(&mut self, reason: &'static str, name: &str) {
        self.0.entry(reason).or_insert_with(|| (0, name.to_string())).0 += 1;
    }

    fn notes(self) -> impl Iterator<Item = String> {
        let note = |(reason, (count, first))| format!("{count} {reason}, as `{first}`: left out");
        self.0.into_iter().map(note)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str, lenient: bool) -> Result<(Dataset, Vec<String>), TrainError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dataset.json");
        fs::write(&path, text).unwrap();
        for folder in ["a", "b"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("1.jpg"), "").unwrap();
        }
        image::RgbImage::new(2, 2).save(dir.path().join("a.png")).unwrap();
        Dataset::read(&path, Some(dir.path()), &ReadOptions { lenient, ..Default::default() })
    }

    #[test]
    fn tokens_and_raw_text_are_read() {
        let json = r#"{"images": [{"filename": "a.png", "split": "restval", "imgid": 3,
            "sentences": [{"tokens": ["A", "dog"]}, {"raw": "It's a well-fed dog, isn't it?"}]}]}"#;
        let (dataset, notes) = read(json, false).unwrap();
        assert_eq!(dataset.images[0].captions, ["a dog", "it's a well-fed dog isn't it"]);
        assert_eq!(dataset.split(Split::Train), [0]);
        assert!(notes.is_empty());
        assert!(matches!(dataset.images[0].source, ImageSource::File(_)));
    }

    #[test]
    fn other_formats_train_as_well() {
        for text in [
            "image,caption,split\na,A dog.,train\nb/1.jpg,A cat.,val\n",
            "[{\"image_id\": \"a\", \"caption\": \"A dog.\", \"split\": \"train\"}, {\"image_id\": \"b/1.jpg\", \"caption\": \"A cat.\", \"split\": \"dev\"}]",
        ] {
            let (dataset, _) = read(text, false).unwrap();
            let found = dataset.images.iter().map(|i| (&*i.name, &*i.captions[0], i.split));
            let expected = [("a.png", "a dog", Split::Train), ("b/1.jpg", "a cat", Split::Val)];
            assert!(found.eq(expected), "{text}");
        }
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

    /// One caption without words, or one image of no split, does not stop a data set.
    #[test]
    fn what_does_no_harm_is_left_out_by_name() {
        let text = r#"{"images": [
            {"filename": "a.png", "split": "train", "sentences": [{"raw": "A dog."}, {"raw": "."}, {"tokens": [], "raw": ""}]},
            {"filename": "a/1.jpg", "split": "none", "sentences": [{"raw": "A dog."}]},
            {"filename": "b/1.jpg", "split": "val", "sentences": [{"raw": "!"}]}]}"#;
        let (dataset, notes) = read(text, false).unwrap();
        assert_eq!(dataset.images.len(), 1);
        assert_eq!(dataset.images[0].captions, ["a dog"]);
        let expected = [
            "2 images have captions without words, as `a.png`: left out",
            "1 images have no captions, as `b/1.jpg`: left out",
            "1 images have the split `none`, as `a/1.jpg`: left out",
        ];
        assert_eq!(notes, expected);
        let missing = "image,caption\na,A dog.\nzebra,A zebra.\n";
        let (dataset, notes) = read(missing, true).unwrap();
        assert_eq!((dataset.images.len(), notes.len()), (1, 1));
    }

    #[test]
    fn bad_entries_are_named() {
        for (json, expected) in [
            (
                r#"{"images": [{"filename": "a.png", "split": "train", "sentences": []}]}"#,
                "no captions",
            ),
            (
                r#"{"images": [{"filename": "b.png", "split": "train", "sentences": [{"raw": "x"}]}]}"#,
                "no picture for `b.png`",
            ),
            (
                r#"{"images": [{"filename": "1.jpg", "split": "train", "sentences": [{"raw": "x"}]}]}"#,
                "`1.jpg` could be `a/1.jpg` or `b/1.jpg`",
            ),
            (
                r#"{"images": [{"filename": "a.png", "split": "deev", "sentences": [{"raw": "x"}]}]}"#,
                "split `deev`",
            ),
            (r#"{"images": []}"#, "no captions"),
            ("[]", "no captions"),
        ] {
            let message = read(json, false).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
