//! Tables of scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers of one captioner by their names in `results.json`.
pub type Scores = BTreeMap<String, f64>;

/// The fields of a struct that are numbers.
pub(crate) fn numbers(scores: &impl Serialize) -> Scores {
    let value = serde_json::to_value(scores).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// One line of the printed table: a recipe, over one or several seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// Name of the recipe.
    pub name: String,
    /// Mean over the seeds.
    pub mean: Scores,
    /// Standard deviation over the seeds (dividing by one less than their number); empty for one
    /// seed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: Scores,
}

impl TableRow {
    /// Sums up the seeds of one recipe.
    pub fn new(name: impl Into<String>, seeds: &[Scores]) -> Self {
        let n = seeds.len() as f64;
        let (mut mean, mut spread) = (Scores::new(), Scores::new());
        for name in seeds.first().into_iter().flat_map(BTreeMap::keys) {
            let values: Vec<f64> = seeds.iter().filter_map(|s| s.get(name).copied()).collect();
            let average = values.iter().sum::<f64>() / n;
            mean.insert(name.clone(), average);
            if values.len() > 1 {
                let squares: f64 = values.iter().map(|v| (v - average).powi(2)).sum();
                spread.insert(name.clone(), (squares / (n - 1.0)).sqrt());
            }
        }
        Self { name: name.into(), mean, spread }
    }
}

/// The columns in order: heading, name of the number, digits after the point.
pub const COLUMNS: [(&str, &str, usize); 15] = [
    ("CIDEr-D", "cider", 3),
    ("BLEU-4", "bleu4", 3),
    ("CLIP-S", "clip_s", 3),
    ("RefCLIP-S", "ref_clip_s", 3),
    ("R@1", "r1", 1),
    ("R@5", "r5", 1),
    ("R@10", "r10", 1),
    ("sentences", "grammatical", 2),
    ("grammar", "grammar", 2),
    ("background", "background", 2),
    ("object", "object", 2),
    ("relation", "relation", 2),
    ("true", "true_claims", 2),
    ("length", "length", 1),
    ("distinct", "distinct", 0),
];

/// The lines as text, columns aligned; columns that no line has are left out, and with several
/// seeds every number is followed by its spread.
pub fn table(rows: &[TableRow]) -> String {
    let first = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{:first$}", "")];
    lines.extend(rows.iter().map(|row| format!("{:first$}", row.name)));
    for (heading, name, digits) in COLUMNS {
        if !rows.iter().any(|row| row.mean.contains_key(name)) {
            continue;
        }
        let cell = |row: &TableRow| match (row.mean.get(name), row.spread.get(name)) {
            (Some(mean), Some(spread)) => format!("{mean:.digits$} ±{spread:.digits$}"),
            (Some(mean), None) => format!("{mean:.digits$}"),
            _ => "-".into(),
        };
        let cells: Vec<String> =
            std::iter::once(heading.to_string()).chain(rows.iter().map(cell)).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(&cells) {
            *line += &format!("  {cell:>width$}");
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(r1: f64, grammar: Option<f64>) -> Scores {
        let more = grammar.map(|g| ("grammar".to_string(), g));
        [("r1".to_string(), r1), ("distinct".to_string(), 7.0)].into_iter().chain(more).collect()
    }

    #[test]
    fn seeds_are_summed_up() {
        let row = TableRow::new("MLE", &[scores(1.0, None), scores(3.0, None)]);
        assert_eq!((row.mean["r1"], row.mean["distinct"]), (2.0, 7.0));
        assert!((row.spread["r1"] - 2f64.sqrt()).abs() < 1e-12);
        assert!(TableRow::new("MLE", &[scores(1.0, None)]).spread.is_empty());
    }

    #[test]
    fn columns_are_aligned_and_missing_numbers_say_so() {
        let rows = [
            TableRow::new("MLE", &[scores(1.0, None)]),
            TableRow::new("CLIP-S", &[scores(10.0, Some(0.25))]),
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[0].contains("grammar") && lines[1].contains(" - "), "{text}");
        let without = table(&rows[..1]);
        assert!(!without.contains("grammar"), "{without}");
        let seeds = table(&[TableRow::new("MLE", &[scores(1.0, None), scores(3.0, None)])]);
        assert!(seeds.contains("2.0 ±1.4"), "{seeds}");
    }
}
