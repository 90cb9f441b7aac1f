//! What captions are worth, image by image.

use anyhow::Result;
use finecap::metrics::{
    BleuScores, Ciders, DocumentFrequencies, Meteor, MeteorScores, RougeScores, TextStatistics,
    WordIds, bleu, ciders, rouge_l,
};
use serde_json::{Map, Value};

/// Name of a score that is a mean over the images, and its value for each.
pub type Column = (&'static str, Vec<f64>);

/// What all captions of one system are worth, image by image.
pub struct Scores {
    bleu: BleuScores,
    meteor: Option<MeteorScores>,
    rouge: RougeScores,
    ciders: Ciders,
    /// What else there is a mean of.
    columns: Vec<Column>,
    pub statistics: TextStatistics,
    /// Share of captions that are training captions too.
    pub seen: Option<f64>,
}

impl Scores {
    /// Scores captions that were cut into words, as their references were.
    pub fn of(
        captions: &[String],
        references: &[Vec<String>],
        meteor: Option<&Meteor>,
        frequencies: Option<(WordIds, DocumentFrequencies)>,
        columns: Vec<Column>,
    ) -> Result<Self> {
        Ok(Self {
            bleu: bleu(captions, references)?,
            meteor: meteor.map(|meteor| meteor.score(captions, references)).transpose()?,
            rouge: rouge_l(captions, references)?,
            ciders: ciders(captions, references, frequencies)?,
            columns,
            statistics: TextStatistics::of(captions)?,
            seen: None,
        })
    }

    pub fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"];
        names.extend(self.meteor.as_ref().map(|_| "METEOR"));
        names.extend(["ROUGE-L", "CIDEr-D", "CIDEr"]);
        names.extend(self.columns.iter().map(|(name, _)| *name));
        names
    }

    /// The scores over some images, in the order of the names.
    pub fn numbers(&self, images: &[usize]) -> Vec<f64> {
        let mean = |values: &[f64]| {
            images.iter().map(|&image| values[image]).sum::<f64>() / images.len() as f64
        };
        let mut numbers = self.bleu.of(images).to_vec();
        numbers.extend(self.meteor.as_ref().map(|meteor| meteor.of(images)));
        let (d, plain) = (&self.ciders.cider_d.per_image, &self.ciders.cider.per_image);
        numbers.extend([mean(&self.rouge.per_image), mean(d), mean(plain)]);
        numbers.extend(self.columns.iter().map(|(_, values)| mean(values)));
        numbers
    }

    /// One image's caption and scores.
    pub fn image(&self, row: usize, caption: &str) -> Value {
        let mut object = Map::from_iter([("caption".to_string(), caption.into())]);
        for (name, number) in self.names().iter().zip(self.numbers(&[row])) {
            object.insert((*name).into(), number.into());
        }
        object.into()
    }
}
