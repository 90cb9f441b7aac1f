//! Rewards of other programs: a child process, or a service over HTTP.

mod child;
mod http;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use child::Child;
use wire::{Answer, Failure, Question};

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

/// Who computes an external reward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A program and its arguments, started once. It reads a JSON object a line from stdin,
    /// `{"id", "image", "path", "caption", "references"}`, and writes one for each to stdout,
    /// `{"id", "score"}`, in any order.
    Command(Vec<String>),
    /// An address that answers a POST of a JSON array of such objects with a JSON array of such
    /// answers. Plain HTTP only.
    Url(String),
}

/// What the other program is told about an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalImage {
    /// Name in the data set.
    pub name: String,
    /// The picture, where it is a file.
    pub path: Option<PathBuf>,
    /// What people said.
    pub references: Vec<String>,
}

/// A reward that another program computes.
///
/// A batch must be answered within a time limit. A program that fails or is late is started once more
/// (an address is asked once more) and gets the batch again; the second time is an error. A score that
/// is missing twice, that is not a number, or not finite is an error with the caption.
pub struct ExternalReward {
    name: String,
    endpoint: Endpoint,
    limit: Duration,
    images: Arc<[ExternalImage]>,
    child: Option<Child>,
    /// Whether the one new start was used.
    restarted: bool,
    /// Ids are never used twice, so that a late answer is not taken for another's.
    next_id: u64,
}

impl ExternalReward {
    /// A reward called `name` over these images. The program is started at the first batch.
    ///
    /// # Errors
    /// [`RewardError::Other`] for an empty command, and for an address that is not `http://`.
    pub fn new(
        name: impl Into<String>,
        endpoint: Endpoint,
        limit: Duration,
        images: impl Into<Arc<[ExternalImage]>>,
    ) -> Result<Self, RewardError> {
        let name = name.into();
        let problem = match &endpoint {
            Endpoint::Command(words) if words.is_empty() => {
                Some("the command is empty".to_string())
            }
            Endpoint::Url(url) if !url.starts_with("http://") => {
                Some(format!("`{url}` must begin with http:// (https is not supported)"))
            }
            _ => None,
        };
        match problem {
            Some(problem) => Err(RewardError::other(name, problem)),
            None => {
                let (images, child) = (images.into(), None);
                Ok(Self { name, endpoint, limit, images, child, restarted: false, next_id: 0 })
            }
        }
    }

    fn ask(&mut self, questions: &[Question]) -> Result<Vec<Answer>, Failure> {
        match &self.endpoint {
            Endpoint::Url(url) => http::post(url, questions, self.limit),
            Endpoint::Command(words) => {
                if self.child.is_none() {
                    self.child = Some(Child::start(words)?);
                }
                let Some(child) = &mut self.child else { return Ok(Vec::new()) };
                child.ask(questions, self.limit)
            }
        }
    }

    fn failed(&self, problem: impl std::fmt::Display) -> RewardError {
        let who = match &self.endpoint {
            Endpoint::Command(words) => words.join(" "),
            Endpoint::Url(url) => url.clone(),
        };
        RewardError::other(&self.name, format!("{who}: {problem}"))
    }
}

impl Reward for ExternalReward {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(&self.name, candidates, self.images.len())?;
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.next_id;
        self.next_id += candidates.len() as u64;
        let images = self.images.clone();
        let mut questions = Vec::with_capacity(candidates.len());
        for (id, candidate) in (first..).zip(candidates) {
            questions.push(Question::new(id, &images[candidate.image], candidate.text));
        }
        let answers = match self.ask(&questions) {
            Err(Failure::Broken(_)) if !self.restarted => {
                self.restarted = true;
                self.child = None;
                self.ask(&questions)
            }
            answers => answers,
        };
        let answers = answers.map_err(|failure| {
            self.child = None;
            self.failed(failure)
        })?;
        let captions: Vec<&str> = candidates.iter().map(|candidate| candidate.text).collect();
        wire::scores(&answers, first, &captions).map_err(|problem| self.failed(problem))
    }
}
