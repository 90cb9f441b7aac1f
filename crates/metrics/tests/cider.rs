//! CIDEr-D against coco-caption's own numbers.

use finecap_metrics::{Cider, DocumentFrequencies, MetricsError, WordIds, cider_d, ciders};
use proptest::prelude::*;
use serde_json::Value;

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
}

fn lists(value: &Value) -> Vec<Vec<String>> {
    value.as_array().unwrap().iter().map(strings).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn fixture() -> Value {
    let path = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../../fixtures/cider.json";
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (image, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() < 1e-9, "image {image}: {a} and {b}");
    }
}

#[test]
fn golden_vectors_of_coco_caption() {
    let references = [
        vec![
            "a man riding a wave on top of a surfboard",
            "a surfer rides a large wave",
            "man on a surf board riding an ocean wave",
        ],
        vec!["a cat sitting on a red couch", "a cat is on the sofa", "the cat rests on a couch"],
        vec![
            "two dogs play with a ball in the grass",
            "dogs playing on a lawn",
            "two dogs chase a ball",
        ],
    ];
    let scores =
        cider_d(&["a man surfing on a wave", "a cat on a couch", "dog"], &references).unwrap();
    assert_close(&[scores.corpus], &[1.1768632470745253]);
    assert_close(&scores.per_image, &[1.0985100486490158, 2.43207969257456, 0.0]);
}

#[test]
fn random_captions_agree() {
    let data = fixture();
    let scores = cider_d(&strings(&data["candidates"]), &lists(&data["references"])).unwrap();
    assert_close(&scores.per_image, &numbers(&data["per_image"]));
    assert_close(&[scores.corpus], &[data["corpus"].as_f64().unwrap()]);
}

#[test]
fn tokenised_captions_of_the_clipscore_example_agree() {
    let example = &fixture()["clipscore_example"];
    let references = lists(&example["references"]);
    // The published numbers, once more beside those of the fixture.
    for (name, corpus) in [("good", 0.5637412592), ("bad", 0.2790165307)] {
        let scores = cider_d(&strings(&example[name]["candidates"]), &references).unwrap();
        assert_close(&scores.per_image, &numbers(&example[name]["per_image"]));
        assert!((scores.corpus - corpus).abs() < 1e-9, "{name}: {}", scores.corpus);
    }
}

#[test]
fn a_given_table_of_frequencies_agrees() {
    let data = fixture();
    let mut words = WordIds::default();
    let mut ids = |captions: &[String]| -> Vec<Vec<u32>> {
        captions.iter().map(|c| words.caption(c)).collect()
    };
    let table: Vec<_> = lists(&data["table"]).iter().map(|refs| ids(refs)).collect();
    let counted = DocumentFrequencies::from_references(&table).unwrap();
    let counts: Vec<(Vec<u32>, u32)> = data["table_counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            let ngram = ids(&[pair[0].as_str().unwrap().to_string()]).remove(0);
            (ngram, pair[1].as_u64().unwrap() as u32)
        })
        .collect();
    let given = DocumentFrequencies::from_counts(table.len(), &counts).unwrap();
    assert_eq!(given, counted);

    let references: Vec<_> = lists(&data["references"]).iter().map(|refs| ids(refs)).collect();
    let candidates = ids(&strings(&data["candidates"]));
    let scorer = Cider::new(given.clone());
    let scores: Vec<f64> = candidates
        .iter()
        .zip(&references)
        .map(|(candidate, refs)| scorer.score_d(candidate, &scorer.prepare(refs).unwrap()))
        .collect();
    assert_close(&scores, &numbers(&data["table_per_image"]));

    let (candidates, references) = (strings(&data["candidates"]), lists(&data["references"]));
    let both = ciders(&candidates, &references, Some(&(words, given))).unwrap();
    assert_close(&both.cider_d.per_image, &scores);
    assert_close(&both.cider.per_image, &numbers(&data["plain_table_per_image"]));
}

#[test]
fn plain_cider_agrees_with_the_published_rule() {
    let data = fixture();
    let both = ciders(&strings(&data["candidates"]), &lists(&data["references"]), None).unwrap();
    assert_close(&both.cider_d.per_image, &numbers(&data["per_image"]));
    let expected = numbers(&data["plain_per_image"]);
    assert_close(&both.cider.per_image, &expected);
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    assert_close(&[both.cider.corpus], &[mean]);
}

#[test]
fn a_single_image_scores_zero() {
    let scores = cider_d(&["a dog runs"], &[vec!["a dog runs"]]).unwrap();
    assert_eq!(scores.corpus, 0.0);
}

#[test]
fn a_table_of_a_larger_set_scores_a_single_image() {
    let references = [vec![vec![0, 1, 2, 3, 4]], vec![vec![5, 6]]];
    let scorer = Cider::new(DocumentFrequencies::from_references(&references).unwrap());
    let prepared = scorer.prepare(&references[0]).unwrap();
    assert!((scorer.score_d(&[0, 1, 2, 3, 4], &prepared) - 10.0).abs() < 1e-9);
    assert_eq!(scorer.score_d(&[5, 6], &prepared), 0.0);
    assert_eq!(scorer.score_d(&[], &prepared), 0.0);
    assert_eq!(scorer.prepare(&[]).unwrap_err(), MetricsError::NoReferences { image: 0 });
}

#[test]
fn bad_input_is_named() {
    let empty: [Vec<&str>; 0] = [];
    assert_eq!(cider_d::<&str, &str>(&[], &empty), Err(MetricsError::Empty));
    assert_eq!(
        cider_d(&["a", "b"], &[vec!["a"], vec![]]),
        Err(MetricsError::NoReferences { image: 1 })
    );
    assert_eq!(
        cider_d(&["a"], &[vec!["a"], vec!["b"]]),
        Err(MetricsError::Lengths { candidates: 1, references: 2 })
    );
}

fn caption() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "dog", "cat"]), 0..9)
        .prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn scores_are_numbers_and_move_with_their_images(
        images in prop::collection::vec((caption(), prop::collection::vec(caption(), 1..4)), 2..7)
    ) {
        let (candidates, references): (Vec<_>, Vec<_>) = images.iter().cloned().unzip();
        let scores = cider_d(&candidates, &references).unwrap();
        prop_assert!(scores.per_image.iter().all(|s| (0.0..=10.0 + 1e-9).contains(s)));
        let (back_candidates, back_references): (Vec<_>, Vec<_>) =
            images.iter().rev().cloned().unzip();
        let mut back = cider_d(&back_candidates, &back_references).unwrap();
        back.per_image.reverse();
        for (a, b) in scores.per_image.iter().zip(&back.per_image) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn repeating_every_reference_scores_ten(length in 4usize..9) {
        let own: Vec<String> = (0..length).map(|i| format!("w{i}")).collect();
        let own = own.join(" ");
        let references = [vec![own.clone(), own.clone()], vec!["x y".to_string()]];
        let scores = cider_d(&[own, String::new()], &references).unwrap();
        prop_assert!((scores.per_image[0] - 10.0).abs() < 1e-9);
        prop_assert_eq!(scores.per_image[1], 0.0);
    }

    #[test]
    fn no_caption_and_no_table_gives_anything_but_a_score(
        table in prop::collection::btree_map(prop::collection::vec(0u32..5, 1..=4), 1u32..=9, 0..40),
        candidate in prop::collection::vec(0u32..7, 0..40),
        references in prop::collection::vec(prop::collection::vec(0u32..7, 0..40), 1..6),
    ) {
        let table: Vec<_> = table.into_iter().collect();
        let scorer = Cider::new(DocumentFrequencies::from_counts(9, &table).unwrap());
        let score = scorer.score_d(&candidate, &scorer.prepare(&references).unwrap());
        prop_assert!((0.0..=10.0 + 1e-9).contains(&score), "{score}");
        if candidate.is_empty() {
            prop_assert_eq!(score, 0.0);
        }
    }
}
