//! What is known about captions of generated scenes, whose truth is known.

use finecap_captioner::{CaptionModel, CaptionerPipeline};
use finecap_metrics::phrase_recall;
use finecap_scenes::{SceneRecord, judge};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::eval::{Evaluation, Evaluator, ScoredCaption};
use crate::table::{Scores, numbers};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneScores {
    /// What any captioner is scored by.
    #[serde(flatten)]
    pub scores: Evaluation,
    /// Share of captions that are sentences of the scene grammar.
    pub grammatical: f64,
    /// Share of all claims that are true of their picture.
    pub true_claims: f64,
    /// Word recall of the phrase about the background.
    pub background: f64,
    /// Word recall of the phrases about the objects.
    pub object: f64,
    /// Word recall of the phrases about the relations, over scenes that have any.
    pub relation: f64,
}

/// Greedy captions of some generated scenes, with everything that can be said about them.
///
/// `images` are those of the evaluator's data set, which was made from `records`.
///
/// # Errors
/// Those of decoding and of the metrics.
pub fn evaluate_scenes<M: CaptionModel>(
    evaluator: &Evaluator,
    captioner: &CaptionerPipeline<M>,
    images: &[usize],
    records: &[SceneRecord],
) -> Result<(SceneScores, Vec<ScoredCaption>), TrainError> {
    let (scores, mut captions) = evaluator.evaluate_model(captioner, images)?;
    Ok((judge_scenes(scores, &mut captions, images.iter().map(|&i| &records[i])), captions))
}

/// Adds what the exact judge says, to the whole and to each caption.
///
/// `records` belong to the captions, one each.
fn judge_scenes<'a>(
    scores: Evaluation,
    captions: &mut [ScoredCaption],
    records: impl IntoIterator<Item = &'a SceneRecord>,
) -> SceneScores {
    let (mut grammatical, mut claims, mut truths) = (0, 0, 0);
    let mut recalls: [Vec<f64>; 3] = Default::default();
    for (caption, record) in captions.iter_mut().zip(records) {
        let verdict = judge(&caption.caption, &record.scene);
        grammatical += usize::from(verdict.grammatical);
        claims += verdict.claims.len();
        truths += verdict.true_claims();
        caption.grammatical = Some(verdict.grammatical);
        caption.claims = verdict.claims;
        let phrases = &record.phrases;
        for (recalls, phrases) in
            recalls.iter_mut().zip([&phrases.background, &phrases.object, &phrases.relation])
        {
            recalls.extend(phrase_recall(&caption.caption, phrases));
        }
    }
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let [background, object, relation] =
        recalls.map(|values| values.iter().sum::<f64>() / values.len().max(1) as f64);
    SceneScores {
        grammatical: share(grammatical, captions.len()),
        true_claims: share(truths, claims),
        background,
        object,
        relation,
        scores,
    }
}

impl SceneScores {
    /// The fields by the names that they are serialised under.
    pub fn numbers(&self) -> Scores {
        numbers(self)
    }
}
