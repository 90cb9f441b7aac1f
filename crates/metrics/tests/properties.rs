//! What holds for every caption metric, whatever the captions are.

use finecap_metrics::{
    Match, MetricsError, TextStatistics, Ties, bleu, ciders, fine_phrases, fine_recall, ptb_tokens,
    retrieval, rouge_l,
};
use proptest::prelude::*;

/// Scores of each image by name, with the best that there can be: BLEU-1 to BLEU-4, ROUGE-L, CIDEr
/// and CIDEr-D.
fn scores(candidates: &[String], references: &[Vec<String>]) -> Vec<(f64, Vec<f64>)> {
    let bleu = bleu(candidates, references).unwrap();
    let rouge = rouge_l(candidates, references).unwrap();
    let ciders = ciders(candidates, references, None).unwrap();
    let of_length = |n: usize| bleu.per_image.iter().map(|scores| scores[n]).collect();
    let mut all: Vec<(f64, Vec<f64>)> = (0..4).map(|n| (bleu.corpus[n], of_length(n))).collect();
    all.push((rouge.corpus, rouge.per_image));
    all.push((ciders.cider.corpus, ciders.cider.per_image));
    all.push((ciders.cider_d.corpus, ciders.cider_d.per_image));
    all
}

fn caption(least: usize) -> impl Strategy<Value = String> {
    let words = vec!["a", "red", "dog", "cat", "on", "the", "grass", "runs"];
    prop::collection::vec(prop::sample::select(words), least..9).prop_map(|words| words.join(" "))
}

fn images(least: usize) -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let references = prop::collection::vec(caption(least), 1..4);
    prop::collection::vec((caption(least), references), 1..8)
}

proptest! {
    #[test]
    fn the_order_of_the_images_does_not_matter(images in images(0), turn in any::<prop::sample::Index>()) {
        let (candidates, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let by = turn.index(candidates.len());
        let (mut turned, mut turned_references) = (candidates.clone(), references.clone());
        turned.rotate_left(by);
        turned_references.rotate_left(by);
        for ((a, mut of_image), (b, turned)) in
            scores(&candidates, &references).into_iter().zip(scores(&turned, &turned_references))
        {
            prop_assert!((a - b).abs() < 1e-9, "{} and {}", a, b);
            of_image.rotate_left(by);
            for (a, b) in of_image.iter().zip(turned) {
                prop_assert!((a - b).abs() < 1e-9, "{} and {}", a, b);
            }
        }
        let text = |captions: &[String]| TextStatistics::of(captions).unwrap();
        prop_assert_eq!(text(&candidates), text(&{ let mut c = candidates.clone(); c.reverse(); c }));
    }

    #[test]
    fn no_caption_beats_the_reference_itself(images in images(4), other in caption(0)) {
        // One reference each, so that a caption can equal all of them.
        let references: Vec<Vec<String>> =
            images.iter().map(|(_, references)| references[..1].to_vec()).collect();
        let best: Vec<String> = references.iter().map(|references| references[0].clone()).collect();
        let most = [1.0, 1.0, 1.0, 1.0, 1.0, 10.0, 10.0];
        let found = scores(&best, &references);
        for ((_, of_image), most) in found.iter().zip(most) {
            prop_assert!(of_image.iter().all(|score| *score <= most + 1e-7), "{:?}", of_image);
        }
        // Without frequencies that make everything worthless, BLEU and ROUGE-L reach the most.
        for ((corpus, of_image), most) in found.iter().zip(most).take(5) {
            prop_assert!((corpus - most).abs() < 1e-7, "{}", corpus);
            prop_assert!(of_image.iter().all(|score| (score - most).abs() < 1e-7));
        }
        let mut worse = best.clone();
        worse[0] = other;
        for ((_, of_image), (_, worse)) in found.iter().zip(scores(&worse, &references)) {
            prop_assert!(worse[0] <= of_image[0] + 1e-7, "{} over {}", worse[0], of_image[0]);
        }
    }

    #[test]
    fn an_empty_caption_scores_nothing(images in images(1)) {
        let (mut candidates, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        candidates[0] = String::new();
        for (_, of_image) in scores(&candidates, &references) {
            prop_assert!(of_image[0].abs() < 1e-9);
        }
    }

    #[test]
    fn recall_of_phrases_is_a_share(said in caption(0), phrases in prop::collection::vec(caption(1), 1..5)) {
        for how in [Match::Reference, Match::Strict] {
            let found = fine_recall(&said, &phrases, how).unwrap();
            prop_assert!((0.0..=1.0).contains(&found));
            let everything = fine_recall(&phrases.join(" "), &phrases, how).unwrap();
            prop_assert!((everything - 1.0).abs() < 1e-12);
            let mut turned = phrases.clone();
            turned.reverse();
            prop_assert!((fine_recall(&said, &turned, how).unwrap() - found).abs() < 1e-12);
        }
    }

    #[test]
    fn embeddings_find_themselves(
        rows in prop::collection::hash_set(prop::array::uniform3(-3i8..4), 1..20),
        turn in any::<prop::sample::Index>(),
    ) {
        // Different points of equal length, so that each is nearest to itself.
        let length = |row: &[i8; 3]| row.iter().map(|x| f32::from(*x).powi(2)).sum::<f32>().sqrt();
        let mut unit: Vec<[f32; 3]> = Vec::new();
        for row in rows.iter().filter(|row| length(row) > 0.0) {
            let row_length = length(row);
            let row = row.map(|x| f32::from(x) / row_length);
            let close = |other: &[f32; 3]| other.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-3);
            if !unit.iter().any(close) {
                unit.push(row);
            }
        }
        prop_assume!(!unit.is_empty());
        let n = unit.len();
        let flat = unit.concat();
        let own: Vec<usize> = (0..n).collect();
        let found = retrieval(&flat, &flat, 3, &own, Ties::Fair).unwrap();
        prop_assert_eq!(found.text_to_image.recall(1), 100.0);
        prop_assert_eq!(found.image_to_text.recall(1), 100.0);
        // The same texts in another order.
        let by = turn.index(n);
        let (mut texts, mut of_text) = (unit.clone(), own);
        texts.rotate_left(by);
        of_text.rotate_left(by);
        let turned = retrieval(&flat, &texts.concat(), 3, &of_text, Ties::Fair).unwrap();
        prop_assert_eq!(turned.text_to_image.mean(), 1.0);
    }

    #[test]
    fn any_text_has_words_without_spaces(text in any::<String>()) {
        for word in ptb_tokens(&text) {
            prop_assert!(!word.is_empty() && !word.contains([' ', '\n']), "{:?}", word);
        }
        prop_assert!(fine_phrases(&text).iter().all(|phrase| phrase.chars().count() > 1));
    }
}

#[test]
fn nothing_to_score_is_an_error_everywhere() {
    let (none, references): ([&str; 0], [Vec<&str>; 0]) = ([], []);
    assert_eq!(bleu(&none, &references).unwrap_err(), MetricsError::Empty);
    assert_eq!(rouge_l(&none, &references).unwrap_err(), MetricsError::Empty);
    assert_eq!(ciders(&none, &references, None).unwrap_err(), MetricsError::Empty);
    assert_eq!(TextStatistics::of(&none).unwrap_err(), MetricsError::Empty);
    assert_eq!(fine_recall("a dog", &none, Match::Strict), None);
    assert!(retrieval(&[], &[], 4, &[], Ties::Fair).is_err());
}
