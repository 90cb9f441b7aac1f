//! Several metrics over the same images.

use std::borrow::Cow;

use crate::corpus::mean_of;
use crate::{BleuScores, MeteorScores};

/// What the captions of one system are worth by several metrics, for all images or for some of them,
/// as resampling asks. Metrics come in the order in which they are added.
///
/// ```
/// # fn main() -> Result<(), finecap_metrics::MetricsError> {
/// use finecap_metrics::{Evaluation, bleu, rouge_l};
///
/// let captions = ["a cat on a couch", "two dogs"];
/// let references = [["a cat sits on a couch"], ["two dogs play"]];
/// let mut evaluation = Evaluation::default();
/// evaluation.add_bleu(bleu(&captions, &references)?);
/// evaluation.add_mean("ROUGE-L", rouge_l(&captions, &references)?.per_image);
/// assert_eq!(evaluation.names(), ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"]);
/// assert_eq!(evaluation.numbers(&[0, 1]).len(), 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Bleu(BleuScores),
    Meteor(MeteorScores),
    /// A mean over the images.
    Mean(Cow<'static, str>, Vec<f64>),
}

impl Evaluation {
    /// BLEU-1 to BLEU-4.
    pub fn add_bleu(&mut self, scores: BleuScores) {
        self.parts.push(Part::Bleu(scores));
    }

    /// METEOR.
    pub fn add_meteor(&mut self, scores: MeteorScores) {
        self.parts.push(Part::Meteor(scores));
    }

    /// A metric whose score is the mean of its scores of the images.
    pub fn add_mean(&mut self, name: impl Into<Cow<'static, str>>, per_image: Vec<f64>) {
        self.parts.push(Part::Mean(name.into(), per_image));
    }

    /// Names of the scores.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bleu(_) => names.extend(["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]),
                Part::Meteor(_) => names.push("METEOR"),
                Part::Mean(name, _) => names.push(name),
            }
        }
        names
    }

    /// The scores over the images at these places, of which there is at least one, in the order of
    /// the names.
    pub fn numbers(&self, images: &[usize]) -> Vec<f64> {
        let mut numbers = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bleu(scores) => numbers.extend(scores.of(images)),
                Part::Meteor(scores) => numbers.push(scores.of(images)),
                Part::Mean(_, per_image) => numbers.push(mean_of(per_image, images)),
            }
        }
        numbers
    }
}
