//! The table that compares captioners on generated scenes, whose truth is known.

use std::collections::BTreeMap;

use finecap_metrics::phrase_recall;
use finecap_scenes::{SceneRecord, judge};
use serde::{Deserialize, Serialize};

use crate::eval::{Evaluation, ScoredCaption};

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

/// Adds what the exact judge says, to the whole and to each caption.
///
/// `records` belong to the captions, one each.
pub fn judge_scenes<'a>(
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

/// Numbers of one line by their names in `results.json`.
pub type Scores = BTreeMap<String, f64>;

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
    pub fn new(name: impl Into<String>, seeds: &[SceneScores]) -> Self {
        let seeds: Vec<Scores> = seeds.iter().map(numbers).collect();
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

/// The fields of a line as they are serialised.
fn numbers(row: &SceneScores) -> Scores {
    let value = serde_json::to_value(row).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

/// Heading, name of the number, digits after the point.
const COLUMNS: [(&str, &str, usize); 15] = [
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

    fn scores(r1: f64, grammar: Option<f64>) -> SceneScores {
        SceneScores {
            scores: Evaluation {
                cider: 0.5,
                bleu4: 0.2,
                clip_s: 1.5,
                ref_clip_s: 1.0,
                r1,
                r5: 2.0,
                r10: 3.0,
                grammar,
                length: 4.0,
                distinct: 7,
            },
            grammatical: 1.0,
            true_claims: 0.5,
            background: 0.1,
            object: 0.2,
            relation: 0.3,
        }
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
