//! Tables of scores.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Numbers of one captioner by their names in `results.json`.
pub type Scores = BTreeMap<String, f64>;

/// Which of a struct's fields are numbers, and their values.
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
    /// Number of seeds.
    pub seeds: usize,
    /// Mean over the seeds that have a number.
    pub mean: Scores,
    /// Standard deviation over the same seeds (dividing by one less than their number); absent
    /// where only one has the number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: Scores,
    /// How many seeds have a number, where not all of them do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partial: BTreeMap<String, usize>,
}

impl TableRow {
    /// Sums up the seeds of one recipe.
    pub fn new(name: impl Into<String>, seeds: &[Scores]) -> Self {
        let (mut mean, mut spread, mut partial) = (Scores::new(), Scores::new(), BTreeMap::new());
        let names: BTreeSet<&String> = seeds.iter().flat_map(BTreeMap::keys).collect();
        for name in names {
            let values: Vec<f64> = seeds.iter().filter_map(|s| s.get(name).copied()).collect();
            let n = values.len() as f64;
            let average = values.iter().sum::<f64>() / n;
            mean.insert(name.clone(), average);
            if values.len() > 1 {
                let squares: f64 = values.iter().map(|v| (v - average).powi(2)).sum();
                spread.insert(name.clone(), (squares / (n - 1.0)).sqrt());
            }
            if values.len() < seeds.len() {
                partial.insert(name.clone(), values.len());
            }
        }
        Self { name: name.into(), seeds: seeds.len(), mean, spread, partial }
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

/// Heading of a number in tables, by its name in [`COLUMNS`]; other names are their own.
pub fn heading(name: &'static str) -> &'static str {
    COLUMNS.iter().find(|(_, known, _)| *known == name).map_or(name, |column| column.0)
}

/// The lines as text, columns aligned. Columns that no line has are left out; with several seeds
/// every number is followed by its spread, and by how many seeds have it where not all do.
pub fn table(rows: &[TableRow]) -> String {
    let first = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{:first$}", "")];
    lines.extend(rows.iter().map(|row| format!("{:first$}", row.name)));
    for (heading, name, digits) in COLUMNS {
        if !rows.iter().any(|row| row.mean.contains_key(name)) {
            continue;
        }
        let cell = |row: &TableRow| {
            let Some(mean) = row.mean.get(name) else { return "-".to_string() };
            let mut cell = format!("{mean:.digits$}");
            if let Some(spread) = row.spread.get(name) {
                cell += &format!(" ±{spread:.digits$}");
            }
            if let Some(count) = row.partial.get(name) {
                cell += &format!(" ({count} of {})", row.seeds);
            }
            cell
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
    fn a_number_that_a_seed_lacks_is_the_mean_of_the_others() {
        // In either order: the first seed does not decide which numbers there are.
        for seeds in [[Some(0.8), None], [None, Some(0.8)]] {
            let row = TableRow::new("SCST", &seeds.map(|grammar| scores(1.0, grammar)));
            assert_eq!(row.mean["grammar"], 0.8);
            assert_eq!(row.spread.get("grammar"), None);
            assert_eq!((row.seeds, row.partial["grammar"]), (2, 1));
            assert!(!row.partial.contains_key("r1"));
            let text = table(&[row]);
            assert!(text.contains("0.80 (1 of 2)"), "{text}");
        }
        let seeds = [Some(0.2), None, Some(0.4)].map(|grammar| scores(1.0, grammar));
        let row = TableRow::new("SCST", &seeds);
        assert!((row.mean["grammar"] - 0.3).abs() < 1e-12);
        assert!((row.spread["grammar"] - 0.02f64.sqrt()).abs() < 1e-12);
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
