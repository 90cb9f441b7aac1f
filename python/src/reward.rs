//! Advantages of self-critical training.

use finecap::reward::{AdvantageRule, Baseline, TermScores};
use pyo3::prelude::*;

use crate::work::work;

/// Advantages `[B · K]`; `scores` hold, image by image, the greedy caption's if `greedy`, then the samples'.
#[pyfunction]
pub fn advantages(
    py: Python<'_>,
    scores: Vec<f32>,
    samples: usize,
    baseline: &str,
    divide_by_spread: bool,
) -> PyResult<Vec<f32>> {
    let baseline = match baseline {
        "greedy" => Baseline::Greedy,
        "mean" => Baseline::Mean,
        _ => Baseline::LeaveOneOut,
    };
    work(py, None, move |_| {
        let greedy = baseline.needs_greedy();
        let rule = AdvantageRule { baseline, divide_by_spread };
        let name = "reward".to_string();
        let term = TermScores { name, weight: 1.0, baseline: None, normalize: false, scores };
        Ok(rule.advantages(&[term], greedy, samples)?)
    })
}
