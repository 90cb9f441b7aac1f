//! What captions are worth, image by image.

use anyhow::Result;
use finecap::metrics::{
    DocumentFrequencies, Evaluation, Meteor, MetricScores, TextStatistics, WordIds, bleu, ciders,
    rouge_l,
};
use serde_json::{Map, Value};

/// Name of a score that is a mean over the images, and its value for each.
pub type Column = (&'static str, Vec<f64>);

/// What all captions of one system are worth.
pub struct Scores {
    evaluation: Evaluation,
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
        frequencies: Option<&(WordIds, DocumentFrequencies)>,
        columns: Vec<Column>,
    ) -> Result<Self> {
        let mut metrics = vec![MetricScores::Bleu(bleu(captions, references)?)];
        if let Some(meteor) = meteor {
            metrics.push(MetricScores::Meteor(meteor.score(captions, references)?));
        }
        let ciders = ciders(captions, references, frequencies)?;
        let means = [
            ("ROUGE-L", rouge_l(captions, references)?.per_image),
            ("CIDEr-D", ciders.cider_d.per_image),
            ("CIDEr", ciders.cider.per_image),
        ];
        let means = means.into_iter().chain(columns);
        metrics.extend(means.map(|(name, values)| MetricScores::Mean(name.into(), values)));
        let evaluation = Evaluation::from_iter(metrics);
        Ok(Self { evaluation, statistics: TextStatistics::of(captions)?, seen: None })
    }

    pub fn names(&self) -> Vec<&str> {
        self.evaluation.names()
    }

    /// The scores over some images, in the order of the names.
    pub fn numbers(&self, images: &[usize]) -> Vec<f64> {
        self.evaluation.numbers(images)
    }

    /// The scores over some images, and how much they exceed those of another system.
    pub fn numbers_beside(&self, other: Option<&Self>, images: &[usize]) -> Vec<f64> {
        self.evaluation.numbers_beside(other.map(|other| &other.evaluation), images)
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
