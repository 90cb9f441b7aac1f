//! Asking a service over HTTP.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::wire::{Answer, Failure, Question, answer};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Sends a batch as a JSON array, and reads a JSON array of answers.
pub(super) fn post(
    url: &str,
    questions: &[Question],
    limit: Duration,
) -> Result<Vec<Answer>, Failure> {
    let broken = |problem: String| Failure::Broken(problem);
    let body = serde_json::to_string(questions).map_err(|error| broken(error.to_string()))?;
    let agent: Agent = Agent::config_builder().timeout_global(Some(limit)).build().into();
    let response = agent.post(url).content_type("application/json").send(body);
    let mut response = response.map_err(|error| broken(error.to_string()))?;
    let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
    let text = text.map_err(|error| broken(error.to_string()))?;
    let list: Vec<Value> = serde_json::from_str(&text).map_err(|_| {
        let what: String = text.chars().take(80).collect();
        Failure::Wrong(format!("answered {what:?}, which is no JSON array of scores"))
    })?;
    list.iter().map(|value| answer(&value.to_string())).collect()
}
