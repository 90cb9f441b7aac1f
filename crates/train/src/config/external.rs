//! Rewards of other programs, as settings.

use std::time::Duration;

use finecap_reward::{Baseline, Endpoint};
use serde::{Deserialize, Serialize};

use super::TermSettings;
use crate::TrainError;

/// A reward that another program computes; see [`ExternalReward`](finecap_reward::ExternalReward) for
/// what is asked and answered.
///
/// ```toml
/// [[scst.reward.external]]
/// name = "mine"
/// command = "python3 my_reward.py"   # or a list of words, or url = "http://localhost:8000/score"
/// weight = 0.5
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalSettings {
    /// Name in logs and tables.
    pub name: String,
    /// A program that is started once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Words>,
    /// The address of a service, `http://` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Factor on the score.
    #[serde(default = "one")]
    pub weight: f32,
    /// What its scores are compared with; by default `scst.baseline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Divide its advantages by their standard deviation over the batch before weighing.
    #[serde(default)]
    pub normalize: bool,
    /// How long a batch may take, in seconds.
    #[serde(default = "a_minute")]
    pub timeout_s: f64,
}

/// A program and its arguments: a list, or one text with spaces between the words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// `"python3 my_reward.py"`
    Text(String),
    /// `["python3", "my reward.py"]`
    List(Vec<String>),
}

impl Words {
    /// The words.
    ///
    /// # Errors
    /// A text with quotes or backslashes, which only a shell would understand, and no words at all.
    pub fn list(&self) -> Result<Vec<String>, String> {
        let words = match self {
            Self::List(words) => words.clone(),
            Self::Text(text) if text.contains(['"', '\'', '\\']) => {
                return Err(format!(
                    "`{text}` has quotes or backslashes, which are not understood: give a list of words"
                ));
            }
            Self::Text(text) => text.split_whitespace().map(str::to_string).collect(),
        };
        if words.is_empty() { Err("is empty".into()) } else { Ok(words) }
    }
}

fn one() -> f32 {
    1.0
}

fn a_minute() -> f64 {
    60.0
}

impl ExternalSettings {
    /// Who computes it.
    ///
    /// # Errors
    /// Neither a command nor an address, or both.
    pub fn endpoint(&self) -> Result<Endpoint, TrainError> {
        let wrong = |problem: String| {
            Err(TrainError::setting(format!("scst.reward.external.{}", self.name), problem))
        };
        match (&self.command, &self.url) {
            (Some(command), None) => match command.list() {
                Ok(words) => Ok(Endpoint::Command(words)),
                Err(problem) => wrong(format!("needs another `command`: it {problem}")),
            },
            (None, Some(url)) => Ok(Endpoint::Url(url.clone())),
            _ => wrong("needs either `command` or `url`".into()),
        }
    }

    /// How long a batch may take.
    pub fn limit(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_s)
    }

    /// The term in the sum.
    pub fn term(&self) -> TermSettings {
        let Self { weight, baseline, normalize, .. } = *self;
        TermSettings { weight, baseline, normalize }
    }

    pub(super) fn check(&self, taken: &[&str]) -> Result<(), TrainError> {
        let wrong = |key: &str, problem: &str| {
            let field = format!("scst.reward.external.{}.{key}", self.name);
            Err(TrainError::setting(field, problem))
        };
        if self.name.trim().is_empty() || taken.contains(&&*self.name) {
            return wrong("name", "must be a name that no other term of the reward has");
        }
        if !self.weight.is_finite() {
            return wrong("weight", "must be a finite number");
        }
        if !(self.timeout_s > 0.0 && self.timeout_s < 1e9) {
            return wrong("timeout_s", "must be above 0");
        }
        self.endpoint().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::RewardSettings;
    use super::*;

    #[test]
    fn settings_survive_a_file_and_mistakes_are_named() {
        let text = "clip_s = 0.0\n[[external]]\nname = \"mine\"\ncommand = \"python3 a.py\"\nweight = 0.5\n\
                    [[external]]\nname = \"theirs\"\nurl = \"http://localhost:1/x\"\nbaseline = \"none\"\n";
        let settings: RewardSettings = toml::from_str(text).unwrap();
        settings.check().unwrap();
        assert_eq!(settings.to_string(), "0.5 mine + theirs");
        let words = ["python3", "a.py"].map(String::from).to_vec();
        assert_eq!(settings.external[0].endpoint().unwrap(), Endpoint::Command(words));
        let written = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<RewardSettings>(&written).unwrap(), settings);
        for (line, expected) in [
            ("name = \"x\"", "either `command` or `url`"),
            ("name = \"x\"\ncommand = \"a\"\nurl = \"http://b\"", "either `command` or `url`"),
            ("name = \"x\"\ncommand = \"a 'b c'\"", "list of words"),
            ("name = \"x\"\ncommand = []", "empty"),
            ("name = \"cider\"\ncommand = \"a\"", "name"),
            ("name = \"x\"\ncommand = \"a\"\nweight = nan", "weight"),
            ("name = \"x\"\ncommand = \"a\"\ntimeout_s = 0.0", "timeout_s"),
        ] {
            let settings: RewardSettings =
                toml::from_str(&format!("[[external]]\n{line}")).unwrap();
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("scst.reward.external"), "{error}");
        }
    }
}
