//! What is in a file of captions, and what about it is doubtful.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use crate::CaptionFile;

/// Images that are shown.
const SHOWN: usize = 3;

/// Numbers about a file of captions.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// What the file was taken for.
    pub format: String,
    /// Images.
    pub images: usize,
    /// Captions of all images.
    pub captions: usize,
    /// Fewest, mean and most captions of an image.
    pub captions_per_image: [f64; 3],
    /// Fewest, mean and most words of a caption, where words are what stands between spaces.
    pub words_per_caption: [f64; 3],
    /// Images of each split, as the file calls them.
    pub splits: BTreeMap<String, usize>,
    /// The first images: names, and captions.
    pub first: Vec<(Vec<String>, Vec<String>)>,
    /// What was passed over, replaced, or may not be meant: one sentence each.
    pub doubts: Vec<String>,
}

impl Summary {
    /// Counts what is in `file`.
    pub fn of(file: &CaptionFile) -> Self {
        let records = &file.records;
        let mut splits = BTreeMap::new();
        for split in records.iter().filter_map(|record| record.split.as_ref()) {
            *splits.entry(split.clone()).or_default() += 1;
        }
        let per_image = records.iter().map(|record| record.captions.len());
        let all = || records.iter().flat_map(|record| &record.captions);
        let words = all().map(|caption| caption.raw.split_whitespace().count());
        let first = records.iter().take(SHOWN).map(|record| {
            let captions = record.captions.iter().map(|caption| caption.raw.clone());
            (record.names().map(str::to_string).collect(), captions.collect())
        });
        Self {
            format: file.format.to_string(),
            images: records.len(),
            captions: all().count(),
            captions_per_image: range(per_image),
            words_per_caption: range(words),
            splits,
            first: first.collect(),
            doubts: doubts(file),
        }
    }
}

/// The fewest, the mean and the most.
fn range(numbers: impl Iterator<Item = usize>) -> [f64; 3] {
    let (mut fewest, mut most, mut sum, mut count) = (usize::MAX, 0, 0, 0);
    for number in numbers {
        (fewest, most) = (fewest.min(number), most.max(number));
        (sum, count) = (sum + number, count + 1);
    }
    match count {
        0 => [0.0; 3],
        count => [fewest as f64, sum as f64 / f64::from(count), most as f64],
    }
}

fn doubts(file: &CaptionFile) -> Vec<String> {
    let mut doubts = file.notes.clone();
    let mut count = |what: &str, images: Vec<&str>| {
        if let Some(first) = images.first() {
            doubts.push(format!("{} {what}, as `{first}`", images.len()));
        }
    };
    let named = |is: &dyn Fn(&crate::Record) -> bool| -> Vec<&str> {
        file.records.iter().filter(|record| is(record)).map(|record| &*record.name).collect()
    };
    count("images have no captions", named(&|record| record.captions.is_empty()));
    count(
        "images have captions without words",
        named(&|record| record.captions.iter().any(|c| !c.raw.contains(char::is_alphanumeric))),
    );
    count(
        "images have the same caption twice",
        named(&|record| {
            let mut seen = HashSet::new();
            !record.captions.iter().all(|caption| seen.insert(&caption.raw))
        }),
    );
    if !file.records.iter().all(|record| record.split.is_none()) {
        count("images have no split", named(&|record| record.split.is_none()));
    }
    let alike = file.names().alike_images();
    if let Some(&(one, other)) = alike.first() {
        let [one, other] = [one, other].map(|image| &file.records[image].name);
        doubts.push(format!(
            "{} pairs of images have names that could mean one image, as `{one}` and `{other}`",
            alike.len()
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReadOptions;

    #[test]
    fn counts_and_doubts() {
        let text = r#"{"images": [
            {"filename": "1.jpg", "split": "train", "sentences": ["a dog", "a dog", "a red dog"]},
            {"filename": "x/1.jpg", "split": "val", "sentences": ["."]},
            {"filename": "2.jpg", "sentences": []}]}"#;
        let file = CaptionFile::parse(text, "f", &ReadOptions::default()).unwrap();
        let found = Summary::of(&file);
        assert_eq!((found.images, found.captions), (3, 4));
        assert_eq!(found.captions_per_image, [0.0, 4.0 / 3.0, 3.0]);
        assert_eq!(found.words_per_caption, [1.0, 2.0, 3.0]);
        assert_eq!(found.splits.len(), 2);
        for (doubt, expected) in found.doubts.iter().zip([
            "1 images have no captions, as `2.jpg`",
            "1 images have captions without words, as `x/1.jpg`",
            "1 images have the same caption twice, as `1.jpg`",
            "1 images have no split, as `2.jpg`",
            "1 pairs of images have names that could mean one image, as `1.jpg` and `x/1.jpg`",
        ]) {
            assert_eq!(doubt, expected);
        }
        assert_eq!(found.doubts.len(), 5);
    }
}
