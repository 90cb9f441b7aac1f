//! How far the scores of one run may be trusted.

use std::collections::BTreeMap;

use anyhow::Result;
use finecap_metrics::{Interval, bleu, bootstrap};
use finecap_train::{ScoredCaption, caption_columns};

/// Resamples of the pictures.
const RESAMPLES: usize = 1000;

/// 95 % intervals of scores, by the names that tables give them.
pub(super) type Intervals = BTreeMap<&'static str, Interval>;

/// Bootstrap intervals over the pictures, for every score that is worked out caption by caption.
pub(super) fn intervals(captions: &[ScoredCaption]) -> Result<Intervals> {
    if captions.is_empty() {
        return Ok(Intervals::new());
    }
    let texts: Vec<&str> = captions.iter().map(|one| one.caption.as_str()).collect();
    let references: Vec<&[String]> = captions.iter().map(|one| one.references.as_slice()).collect();
    let bleu = bleu(&texts, &references)?;
    let columns = caption_columns(captions);
    let numbers = |images: &[usize]| {
        let mean = |values: &[f64]| {
            images.iter().map(|&image| values[image]).sum::<f64>() / images.len() as f64
        };
        let mut numbers = vec![bleu.of(images)[3]];
        numbers.extend(columns.iter().map(|(_, values)| mean(values)));
        numbers
    };
    let found = bootstrap(captions.len(), RESAMPLES, 1, numbers)?;
    let names = std::iter::once("bleu4").chain(columns.iter().map(|(name, _)| *name));
    Ok(names.zip(found).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_captions_share_is_certain_and_the_rest_is_not() {
        let caption = |rank: usize| ScoredCaption {
            image: format!("{rank}.png"),
            caption: "a red square".into(),
            references: vec!["a red square on grey".into()],
            cider: rank as f64,
            clip_s: 0.5,
            ref_clip_s: 0.7,
            rank,
            grammar: None,
            grammatical: Some(rank > 1),
            claims: Vec::new(),
        };
        let captions: Vec<ScoredCaption> = (1..=12).map(caption).collect();
        let found = intervals(&captions).unwrap();
        let bounds = |name: &str| (found[name].low, found[name].high);
        assert_eq!(bounds("clip_s"), (0.5, 0.5));
        let (low, high) = bounds("cider");
        assert!(low < 6.5 && 6.5 < high && high - low < 6.0, "{low} {high}");
        // One of twelve is first.
        let (low, high) = bounds("r1");
        assert!(low == 0.0 && (100.0 / 12.0..60.0).contains(&high), "{low} {high}");
        assert!(found.contains_key("bleu4") && found.contains_key("grammatical"));
        assert!(!found.contains_key("grammar"));
        assert!(intervals(&[]).unwrap().is_empty());
    }
}
