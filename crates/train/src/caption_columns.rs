//! Scores of single captions, as columns of numbers.

use crate::eval::ScoredCaption;

/// A score by its name in [`COLUMNS`](crate::COLUMNS), and its value for each caption; the score of
/// all captions is the mean.
pub type CaptionColumn = (&'static str, Vec<f64>);

/// Recall at 1, 5 and 10 of single captions: 100 where the own image is among the first, 0 where it
/// is not. `ranks` begin with 1.
pub fn recall_columns(ranks: &[usize]) -> [CaptionColumn; 3] {
    [("r1", 1), ("r5", 5), ("r10", 10)].map(|(name, k)| {
        (name, ranks.iter().map(|&rank| if rank <= k { 100.0 } else { 0.0 }).collect())
    })
}

/// Every score that training leaves beside each caption; those that not all captions have are left
/// out.
pub fn caption_columns(captions: &[ScoredCaption]) -> Vec<CaptionColumn> {
    let column = |value: fn(&ScoredCaption) -> Option<f64>| -> Option<Vec<f64>> {
        captions.iter().map(value).collect()
    };
    let ranks: Vec<usize> = captions.iter().map(|one| one.rank).collect();
    let [r1, r5, r10] = recall_columns(&ranks).map(|(name, values)| (name, Some(values)));
    [
        ("cider", column(|one| Some(one.cider))),
        ("clip_s", column(|one| Some(one.clip_s))),
        ("ref_clip_s", column(|one| Some(one.ref_clip_s))),
        r1,
        r5,
        r10,
        ("grammar", column(|one| one.grammar)),
        ("grammatical", column(|one| one.grammatical.map(f64::from))),
    ]
    .into_iter()
    .filter_map(|(name, values)| Some((name, values?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::COLUMNS;

    #[test]
    fn every_column_has_a_heading_and_a_value_for_each_caption() {
        let caption = |rank: usize, grammar: Option<f64>| ScoredCaption {
            image: "1.png".into(),
            caption: "a red square".into(),
            references: Vec::new(),
            cider: 0.1,
            clip_s: 0.2,
            ref_clip_s: 0.3,
            rank,
            grammar,
            grammatical: Some(true),
            claims: Vec::new(),
        };
        let columns = caption_columns(&[caption(1, Some(0.5)), caption(7, Some(0.6))]);
        for (name, values) in &columns {
            assert!(COLUMNS.iter().any(|(_, known, _)| known == name), "{name}");
            assert_eq!(values.len(), 2);
        }
        let values = |name: &str| columns.iter().find(|column| column.0 == name).map(|c| &c.1[..]);
        assert_eq!(values("r5"), Some(&[100.0, 0.0][..]));
        assert_eq!(values("r10"), Some(&[100.0, 100.0][..]));
        assert_eq!(values("grammar"), Some(&[0.5, 0.6][..]));
        let columns = caption_columns(&[caption(1, Some(0.5)), caption(7, None)]);
        assert!(columns.iter().all(|(name, _)| *name != "grammar"));
    }
}
