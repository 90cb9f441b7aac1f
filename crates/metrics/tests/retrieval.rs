//! Ranks against numpy's sorting.

use finecap_metrics::{Ranks, Ties};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    captions_by_images: Vec<Vec<f32>>,
    text_to_image: Expected,
    image_to_text: Expected,
}

#[derive(Deserialize)]
struct Expected {
    targets: Vec<Vec<usize>>,
    fair: Summary,
    later_first: Summary,
}

#[derive(Deserialize)]
struct Summary {
    ranks: Vec<usize>,
    median: f64,
    mean: f64,
    recall: [f64; 3],
}

/// Ranks of a matrix that comes in blocks of a few rows.
fn in_blocks(rows: &[Vec<f32>], targets: &[Vec<usize>], ties: Ties) -> Ranks {
    let mut blocks = rows.chunks(5).zip(targets.chunks(5)).map(|(rows, targets)| {
        Ranks::of_best(&rows.concat(), rows[0].len(), targets, ties).unwrap()
    });
    let mut ranks = blocks.next().unwrap();
    blocks.for_each(|block| ranks.extend(block));
    ranks
}

fn assert_agrees(rows: &[Vec<f32>], expected: &Expected) {
    for (ties, summary) in [(Ties::Fair, &expected.fair), (Ties::LaterFirst, &expected.later_first)]
    {
        let ranks = in_blocks(rows, &expected.targets, ties);
        assert_eq!(ranks.as_slice(), summary.ranks, "{ties:?}");
        assert_eq!(ranks.median(), summary.median);
        assert!((ranks.mean() - summary.mean).abs() < 1e-9);
        for (k, recall) in [1, 5, 10].into_iter().zip(summary.recall) {
            assert!((ranks.recall(k) - recall).abs() < 1e-9, "R@{k}");
        }
    }
}

#[test]
fn both_ways_agree_with_sorting() {
    let path = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../../fixtures/retrieval.json";
    let data: Fixture = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rows = &data.captions_by_images;
    assert_agrees(rows, &data.text_to_image);
    let columns: Vec<Vec<f32>> =
        (0..rows[0].len()).map(|i| rows.iter().map(|row| row[i]).collect()).collect();
    assert_agrees(&columns, &data.image_to_text);
}

proptest! {
    #[test]
    fn the_fair_rank_lies_between_winning_and_losing_every_tie(
        row in prop::collection::vec((-2i8..3).prop_map(f32::from), 1..30),
        target in any::<prop::sample::Index>(),
    ) {
        let target = target.index(row.len());
        let ranks = |row: &[f32], target, ties| {
            Ranks::new(row, row.len(), &[target], ties).unwrap().as_slice()[0]
        };
        let fair = ranks(&row, target, Ties::Fair);
        // The right answer in the last column wins every tie, in the first it loses them all.
        let mut turned = row.clone();
        let last = row.len() - 1;
        turned.swap(target, last);
        let best = ranks(&turned, last, Ties::LaterFirst);
        turned.swap(0, last);
        let worst = ranks(&turned, 0, Ties::LaterFirst);
        prop_assert!(1 <= best && best <= fair && fair <= worst && worst <= row.len());
        prop_assert_eq!(fair, (best + worst).div_ceil(2));
        let backwards: Vec<f32> = row.iter().rev().copied().collect();
        prop_assert_eq!(ranks(&backwards, last - target, Ties::Fair), fair);
    }
}
