//! Several metrics over the same images.

use std::borrow::Cow;

use crate::corpus::mean_of;
use crate::{BleuScores, MeteorScores};

/// The scores of one metric, image by image.
#[derive(Debug, Clone)]
pub enum MetricScores {
    /// BLEU-1 to BLEU-4.
    Bleu(BleuScores),
    /// METEOR.
    Meteor(MeteorScores),
    /// The name of a metric whose score is the mean over the images, and its score of each.
    Mean(Cow<'static, str>, Vec<f64>),
}

/// What the captions of one system are worth by several metrics, for all images or for some of them,
/// as resampling asks.
///
/// ```
/// # fn main() -> Result<(), finecap_metrics::MetricsError> {
/// use finecap_metrics::{Evaluation, MetricScores, bleu, rouge_l};
///
/// let captions = ["a cat on a couch", "two dogs"];
/// let references = [["a cat sits on a couch"], ["two dogs play"]];
/// let rouge_l = rouge_l(&captions, &references)?.per_image;
/// let evaluation = Evaluation::from_iter([
///     MetricScores::Bleu(bleu(&captions, &references)?),
///     MetricScores::Mean("ROUGE-L".into(), rouge_l),
/// ]);
/// assert_eq!(evaluation.names(), ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"]);
/// assert_eq!(evaluation.numbers(&[0, 1]).len(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    metrics: Vec<MetricScores>,
}

impl FromIterator<MetricScores> for Evaluation {
    fn from_iter<I: IntoIterator<Item = MetricScores>>(metrics: I) -> Self {
        Self { metrics: metrics.into_iter().collect() }
    }
}

impl Evaluation {
    /// Names of the scores.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for metric in &self.metrics {
            match metric {
                MetricScores::Bleu(_) => names.extend(["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]),
                MetricScores::Meteor(_) => names.push("METEOR"),
                MetricScores::Mean(name, _) => names.push(name),
            }
        }
        names
    }

    /// The scores over the images at these places, of which there is at least one, in the order of
    /// the names.
    pub fn numbers(&self, images: &[usize]) -> Vec<f64> {
        let mut numbers = Vec::new();
        for metric in &self.metrics {
            match metric {
                MetricScores::Bleu(scores) => numbers.extend(scores.of(images)),
                MetricScores::Meteor(scores) => numbers.push(scores.of(images)),
                MetricScores::Mean(_, per_image) => numbers.push(mean_of(per_image, images)),
            }
        }
        numbers
    }

    /// As [`numbers`](Self::numbers), followed by how much each exceeds that of another system, if there
    /// is one, by the same metrics of the same images.
    pub fn numbers_beside(&self, other: Option<&Self>, images: &[usize]) -> Vec<f64> {
        let mut numbers = self.numbers(images);
        if let Some(other) = other {
            let theirs = other.numbers(images);
            let differences: Vec<f64> = numbers.iter().zip(theirs).map(|(a, b)| a - b).collect();
            numbers.extend(differences);
        }
        numbers
    }
}
