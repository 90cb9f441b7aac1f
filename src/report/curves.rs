//! Training curves as SVG.

use std::collections::BTreeSet;

use anyhow::Result;
use maud::{Markup, html};

use super::runs::Run;

/// Points of a line at most; neighbours are averaged.
const POINTS: usize = 120;

/// Numbers of the log that are not worth a chart.
const HIDDEN: [&str; 4] = ["step", "validation_step", "seconds", "lr"];

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 180.0;
/// Room for the labels: left, right, top, bottom.
const MARGIN: [f64; 4] = [46.0, 8.0, 8.0, 22.0];

/// One number over the steps, a line for each captioner that logged it.
pub struct Chart {
    /// What it shows, in words.
    pub name: String,
    /// Whether it shows what the captioner learns, rather than how training went.
    pub main: bool,
    /// Index of the captioner, and its points.
    pub lines: Vec<(usize, Vec<(f64, f64)>)>,
}

impl Chart {
    /// A chart for every number that the logs hold, validations among them.
    pub(super) fn all(runs: &[&Run]) -> Result<Vec<Self>> {
        let logs = runs.iter().map(|run| run.log()).collect::<Result<Vec<_>>>()?;
        let names: BTreeSet<(bool, &str)> = logs
            .iter()
            .flatten()
            .filter_map(|line| line.as_object())
            .flat_map(|line| {
                let validation = line.contains_key("validation_step");
                line.keys().map(move |name| (validation, name.as_str()))
            })
            .filter(|(_, name)| !HIDDEN.contains(name))
            .collect();
        let charts = names.into_iter().map(|(validation, name)| {
            let step = if validation { "validation_step" } else { "step" };
            let line = |log: &Vec<serde_json::Value>| -> Vec<(f64, f64)> {
                let points = log.iter();
                points
                    .filter_map(|l| Some((l.get(step)?.as_f64()?, l.get(name)?.as_f64()?)))
                    .collect()
            };
            let lines = logs.iter().map(line).enumerate();
            let lines = lines.filter(|(_, points)| points.len() > 1);
            let main = !validation && is_main(name);
            let name = title(name);
            Chart {
                main,
                name: if validation { format!("{name}, validation") } else { name },
                lines: lines.map(|(run, points)| (run, thin(&points))).collect(),
            }
        });
        let mut charts: Vec<Self> = charts.filter(|chart| !chart.lines.is_empty()).collect();
        charts.sort_by_key(|chart| chart.name != "reward");
        Ok(charts)
    }

    /// The chart as an SVG element, to be styled by the page: lines have the classes `line` and
    /// `run-N`, where `N` counts the captioners from 0.
    pub fn svg(&self) -> String {
        self.markup().into_string()
    }

    pub(super) fn markup(&self) -> Markup {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (x0, x1) = range(points().map(|p| p.0));
        let (y0, y1) = range(points().map(|p| p.1));
        let [left, right, top, bottom] = MARGIN;
        let x = |v: f64| left + (v - x0) / (x1 - x0) * (WIDTH - left - right);
        let y = |v: f64| HEIGHT - bottom - (v - y0) / (y1 - y0) * (HEIGHT - top - bottom);
        let grid = [0.0, 0.5, 1.0].map(|part| y0 + (y1 - y0) * part);
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.name) {
                @for value in grid {
                    line.grid x1=(left) x2=(WIDTH - right) y1=(px(y(value))) y2=(px(y(value))) {}
                    text x=(left - 5.0) y=(px(y(value) + 3.5)) text-anchor="end" { (short(value)) }
                }
                @for (value, anchor) in [(x0, "start"), (x1, "end")] {
                    text x=(px(x(value))) y=(HEIGHT - 6.0) text-anchor=(anchor) { (value.round()) }
                }
                @for (run, line) in &self.lines {
                    polyline class={ "line run-" (run) }
                        points=(line.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1)))
                            .collect::<Vec<_>>().join(" ")) {}
                }
            }
        }
    }
}

/// A coordinate, to a tenth of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// What stands above a chart: a number's name in words, a score's as people write it.
fn title(name: &str) -> String {
    let (name, what) = match name.strip_suffix("_std") {
        Some(name) => (name, ", spread"),
        None => (name.strip_suffix("_mean").unwrap_or(name), ""),
    };
    let name = match name {
        "clip_s" => "CLIP-S".into(),
        "ref_clip_s" => "RefCLIP-S".into(),
        "cider" => "CIDEr-D".into(),
        "bleu" => "BLEU-4".into(),
        "kl" => "KL divergence from the start".into(),
        name => name.replace('_', " "),
    };
    name + what
}

/// The reward, the mean of each of its terms, and what becomes of the captions.
fn is_main(name: &str) -> bool {
    matches!(name, "reward" | "entropy" | "caption_length")
        || name.ends_with("_mean") && name != "advantage_mean"
}

/// Means of neighbouring points, so that few are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let group = points.len().div_ceil(POINTS).max(1);
    let mean = |group: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        group.iter().map(of).sum::<f64>() / group.len() as f64
    };
    points.chunks(group).map(|group| (mean(group, |p| p.0), mean(group, |p| p.1))).collect()
}

/// Smallest and largest, never equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if high > low { (low, high) } else { (low - 0.5, low + 0.5) }
}

/// Three significant digits at most.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 || v == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_thinned_and_keep_their_ends() {
        let points: Vec<(f64, f64)> = (1..=1000).map(|i| (f64::from(i), 2.0)).collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS && thinned.len() > POINTS / 2);
        assert!(thinned.iter().all(|p| p.1 == 2.0));
        assert_eq!(thin(&points[..5]), points[..5]);
    }

    #[test]
    fn titles_are_in_words() {
        for (name, expected) in [
            ("ref_clip_s_mean", "RefCLIP-S"),
            ("reward_std", "reward, spread"),
            ("gradient_norm", "gradient norm"),
        ] {
            assert_eq!(title(name), expected);
        }
    }

    #[test]
    fn names_from_the_log_are_escaped() {
        let name = "\"><script>alert(1)</script> & 'x".to_string();
        let chart = Chart { name, main: false, lines: vec![(0, vec![(1.0, 7.0), (2.0, 8.0)])] };
        let svg = chart.svg();
        assert!(!svg.contains("<script") && !svg.contains("\">\""), "{svg}");
        assert!(svg.contains("&lt;script&gt;"), "{svg}");
    }

    #[test]
    fn a_flat_line_is_drawn_inside_the_chart() {
        let chart = Chart {
            name: "loss".into(),
            main: false,
            lines: vec![(3, vec![(1.0, 7.0), (2.0, 7.0)])],
        };
        let svg = chart.svg();
        assert!(svg.contains("class=\"line run-3\"") && !svg.contains("NaN"), "{svg}");
    }
}
