//! What is asked and answered.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ExternalImage;

/// One caption to score.
#[derive(Serialize)]
pub(super) struct Question<'a> {
    pub id: u64,
    image: &'a str,
    path: Option<Cow<'a, str>>,
    caption: &'a str,
    references: &'a [String],
}

impl<'a> Question<'a> {
    pub fn new(id: u64, image: &'a ExternalImage, caption: &'a str) -> Self {
        let path = image.path.as_ref().map(|path| path.to_string_lossy());
        Self { id, image: &image.name, path, caption, references: &image.references }
    }
}

/// One score, not checked yet.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub id: u64,
    #[serde(default)]
    score: Value,
}

/// Why there are no answers.
#[derive(Debug)]
pub(super) enum Failure {
    /// The program ended, was late, or could not be reached: it may work another time.
    Broken(String),
    /// It said something that is no answer.
    Wrong(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (Self::Broken(problem) | Self::Wrong(problem)) = self;
        f.write_str(problem)
    }
}

/// An answer from a line or a value. JSON has no NaN, but Python writes it all the same; it is kept as a
/// text, which is no number either.
pub(super) fn answer(text: &str) -> Result<Answer, Failure> {
    let quoted = || {
        let text = text.replace("-Infinity", "Infinity").replace("Infinity", "\"infinite\"");
        serde_json::from_str(&text.replace("NaN", "\"NaN\""))
    };
    serde_json::from_str(text).or_else(|_| quoted()).map_err(|_| {
        let what: String = text.chars().take(80).collect();
        Failure::Wrong(format!("said {what:?}, which is no {{\"id\": .., \"score\": number}}"))
    })
}

/// The scores of `captions`, whose ids count up from `first`.
///
/// # Errors
/// One sentence with the caption at fault.
pub(super) fn scores(
    answers: &[Answer],
    first: u64,
    captions: &[&str],
) -> Result<Vec<f32>, String> {
    let mut scores: Vec<Option<f32>> = vec![None; captions.len()];
    for Answer { id, score } in answers {
        let place = id.checked_sub(first).map(|place| place as usize);
        let Some((place, caption)) = place.and_then(|place| Some((place, captions.get(place)?)))
        else {
            return Err(format!("answered with the id {id}, which was not asked for"));
        };
        let value = score.as_f64().map(|score| score as f32).filter(|score| score.is_finite());
        let Some(value) = value else {
            return Err(format!(
                "the score of {caption:?} is {score}, but it must be a finite number"
            ));
        };
        if scores[place].replace(value).is_some() {
            return Err(format!("answered twice for {caption:?}"));
        }
    }
    let missing = || scores.iter().position(Option::is_none);
    match missing() {
        Some(place) => Err(format!("gave no score for {:?}", captions[place])),
        None => Ok(scores.into_iter().flatten().collect()),
    }
}
