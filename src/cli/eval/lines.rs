//! Scores as a table and as JSON.

use anyhow::Result;
use finecap::metrics::{Interval, TextStatistics};
use serde_json::{Map, Value, json};

use super::resampling::Resampling;
use super::scores::Scores;

/// What is shown.
pub struct Lines {
    names: Vec<String>,
    ours: Vec<f64>,
    other: Option<Vec<f64>>,
    /// Of the scores, then of the differences to the other system; or nothing.
    intervals: Vec<Interval>,
    statistics: TextStatistics,
    seen: Option<f64>,
}

impl Lines {
    /// The scores of one system, compared with another one on the same images, with bootstrap
    /// intervals.
    pub fn of(ours: &Scores, other: Option<&Scores>, resampling: &Resampling) -> Result<Self> {
        let count = ours.statistics.captions;
        let all: Vec<usize> = (0..count).collect();
        let intervals = resampling.intervals(count, |images| ours.numbers_beside(other, images))?;
        Ok(Self {
            names: ours.names().into_iter().map(String::from).collect(),
            ours: ours.numbers(&all),
            other: other.map(|other| other.numbers(&all)),
            intervals,
            statistics: ours.statistics.clone(),
            seen: ours.seen,
        })
    }

    pub fn table(&self) -> String {
        let found = &self.statistics;
        let mut lines = vec![format!("{:<12}{:>9}", "", "score")];
        if !self.intervals.is_empty() {
            lines[0] += &format!("{:>20}", "95 % interval");
        }
        if self.other.is_some() {
            lines[0] += &format!("{:>10}{:>12}{:>8}", "baseline", "difference", "p");
        }
        let bounds = |interval: &Interval| format!("{:.4}..{:.4}", interval.low, interval.high);
        for (i, name) in self.names.iter().enumerate() {
            let mut line = format!("{name:<12}{:>9.4}", self.ours[i]);
            if let Some(interval) = self.intervals.get(i) {
                line += &format!("{:>20}", bounds(interval));
            }
            if let Some(other) = &self.other {
                line += &format!("{:>10.4}{:>+12.4}", other[i], self.ours[i] - other[i]);
                if let Some(interval) = self.intervals.get(self.names.len() + i) {
                    line += &format!("{:>8.3}", interval.p);
                }
            }
            lines.push(line);
        }
        for (name, why) in self.absent() {
            lines.push(format!("{name:<12}{why}"));
        }
        lines.push(String::new());
        lines.push(format!(
            "{} different captions, {} different words, {:.2} words each, distinct-1 {:.4}, distinct-2 {:.4}, repeated words {:.4}",
            found.distinct,
            found.vocabulary,
            found.mean_words,
            found.distinct_1,
            found.distinct_2,
            found.repetition
        ));
        if let Some(seen) = self.seen {
            lines.push(format!("{:.2} % of the captions are training captions", 100.0 * seen));
        }
        lines.join("\n")
    }

    /// Metrics that people look for and that were not computed, with the reason.
    fn absent(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        NOT_COMPUTED.into_iter().filter(|(name, _)| !self.names.iter().any(|own| own == name))
    }

    /// The scores, with what else there is to say of them.
    pub fn json(&self, about: Map<String, Value>) -> Value {
        let mut scores = Map::new();
        for (i, name) in self.names.iter().enumerate() {
            let mut score = json!({ "score": self.ours[i] });
            if let Some(interval) = self.intervals.get(i) {
                score["interval"] = json!([interval.low, interval.high]);
            }
            if let Some(other) = &self.other {
                score["baseline"] = other[i].into();
                score["difference"] = (self.ours[i] - other[i]).into();
                if let Some(interval) = self.intervals.get(self.names.len() + i) {
                    score["difference_interval"] = json!([interval.low, interval.high]);
                    score["p"] = interval.p.into();
                }
            }
            scores.insert(name.clone(), score);
        }
        for (name, why) in self.absent() {
            scores.insert(name.into(), why.into());
        }
        let mut whole = about;
        whole.insert("count".into(), self.statistics.captions.into());
        whole.insert("scores".into(), scores.into());
        whole.insert("text".into(), json!(self.statistics));
        whole.insert("share_seen_in_training".into(), json!(self.seen));
        whole.into()
    }
}

/// Why metrics that people look for may not be there: never a zero.
const NOT_COMPUTED: [(&str, &str); 3] = [
    ("METEOR", "not available: give the METEOR 1.5 data with --meteor-data DIR"),
    ("SPICE", "not computed"),
    ("BERTScore", "not computed"),
];
