//! METEOR against its own jar.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use finecap_metrics::{Meteor, MeteorScores, MeteorStatistics, MetricsError};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    ours: f64,
    real: f64,
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    caption: String,
    references: Vec<String>,
    ours: Vec<u32>,
    ours_score: f64,
    real: Vec<u32>,
    real_score: f64,
}

fn fixtures() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../fixtures/meteor")
}

/// METEOR with the small data of the fixture.
static SMALL: LazyLock<Meteor> = LazyLock::new(|| Meteor::load(&fixtures()).unwrap());

fn expected() -> Expected {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn score(meteor: &Meteor, images: &[Image]) -> MeteorScores {
    let captions: Vec<&str> = images.iter().map(|image| image.caption.as_str()).collect();
    let references: Vec<&[String]> = images.iter().map(|image| &image.references[..]).collect();
    meteor.score(&captions, &references).unwrap()
}

/// In the order of the jar.
fn counts(of: &MeteorStatistics) -> Vec<u32> {
    let mut counts =
        vec![of.length, of.reference_length, of.function_words, of.reference_function_words];
    for stage in 0..4 {
        let content = [of.content[stage], of.reference_content[stage]];
        counts.extend(content.iter().chain(&[of.function[stage], of.reference_function[stage]]));
    }
    counts.push(of.chunks);
    counts
}

#[test]
fn hard_captions_score_as_by_the_jar() {
    let expected = expected();
    assert!(expected.images.len() > 300);
    let scores = score(&SMALL, &expected.images);
    for (i, image) in expected.images.iter().enumerate() {
        assert_eq!(counts(&scores.statistics[i]), image.ours, "{:?}", image.caption);
        assert!((scores.per_image[i] - image.ours_score).abs() < 1e-15, "{:?}", image.caption);
    }
    assert!((scores.corpus - expected.ours).abs() < 1e-15, "{}", scores.corpus);
}

/// To run it: `FINECAP_METEOR_DATA=DIR cargo test --release -p finecap-metrics --test meteor --
/// --ignored`, where DIR is the folder `pycocoevalcap/meteor` of pycocoevalcap's wheel.
#[test]
#[ignore = "needs METEOR's own data in the folder that FINECAP_METEOR_DATA names"]
fn hard_captions_score_as_by_the_jar_with_its_own_data() {
    let folder = std::env::var_os("FINECAP_METEOR_DATA");
    let folder = folder.expect("FINECAP_METEOR_DATA names a folder with METEOR's data");
    let expected = expected();
    let scores = score(&Meteor::load(folder.as_ref()).unwrap(), &expected.images);
    for (i, image) in expected.images.iter().enumerate() {
        assert_eq!(counts(&scores.statistics[i]), image.real, "{:?}", image.caption);
        assert!((scores.per_image[i] - image.real_score).abs() < 1e-15, "{:?}", image.caption);
    }
    assert!((scores.corpus - expected.real).abs() < 1e-15, "{}", scores.corpus);
}

#[test]
fn some_images_score_as_they_would_alone() {
    let expected = expected();
    let all = score(&SMALL, &expected.images);
    let last = expected.images.len() - 1;
    let few = score(&SMALL, &expected.images[last - 40..]);
    let places: Vec<usize> = (last - 40..=last).rev().collect();
    assert_eq!(all.of(&places), few.corpus);
    assert_eq!(all.of(&[last]), few.per_image[40]);
    assert_eq!(all.statistics[last].score(), all.per_image[last]);
}

#[test]
fn what_can_not_be_scored_is_an_error() {
    let none: [Vec<&str>; 1] = [vec![]];
    assert_eq!(SMALL.score(&["a"], &none), Err(MetricsError::NoReferences { image: 0 }));
    assert_eq!(SMALL.score::<&str, &str>(&[], &[] as &[Vec<&str>]), Err(MetricsError::Empty));
    assert!(SMALL.score(&["a", "b"], &[["a"]]).is_err());
}

#[test]
fn a_folder_without_the_data_is_named() {
    let wrong = fixtures().join("data");
    let error = Meteor::load(&wrong).unwrap_err().to_string();
    assert!(error.contains("data/meteor-1.5.jar: ") && error.contains("pycocoevalcap"), "{error}");
}

/// Words that the small data knows in some way, and some that it doesn't.
const WORDS: &str = "(the|a|of|in|on|dog|hounds|puppy|men|a man|is running|runs|ran|next to|beside|near\
    |a lot of|many|lots of|people|a crowd|c2|ap|wishes|hope|[a-z]{1,3}|,|'s|\\.|[0-9]-[a-z])";

fn caption() -> impl Strategy<Value = String> {
    prop::collection::vec(WORDS, 0..14).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_has_a_score(
        caption in "\\PC{0,60}",
        references in prop::collection::vec("\\PC{0,60}|[ .,'`|a-c0-9-]{0,40}", 1..4),
    ) {
        let scores = SMALL.score(&[caption], &[references]).unwrap();
        prop_assert!((0.0..=1.0).contains(&scores.corpus));
        prop_assert!((0.0..=1.0).contains(&scores.per_image[0]));
    }

    #[test]
    fn a_caption_that_is_a_reference_scores_most(caption in caption(), other in caption()) {
        let best = SMALL.score(&[&caption], &[[&other, &caption]]).unwrap();
        let worse = SMALL.score(&[&other], &[[&caption]]).unwrap();
        let most = if best.statistics[0].length == 0 { 0.0 } else { 1.0 };
        prop_assert_eq!(best.per_image[0], most);
        prop_assert!(worse.per_image[0] <= 1.0);
    }

    #[test]
    fn matches_fit_the_captions(caption in caption(), reference in caption()) {
        let found = SMALL.score(&[caption], &[[reference]]).unwrap().statistics[0];
        let sum = |counts: [u32; 4]| counts.iter().sum::<u32>();
        prop_assert!(sum(found.function) <= found.function_words);
        prop_assert!(sum(found.content) <= found.length - found.function_words);
        prop_assert!(sum(found.reference_function) <= found.reference_function_words);
        let content = found.reference_length - found.reference_function_words;
        prop_assert!(sum(found.reference_content) <= content);
        let matched = sum(found.function) + sum(found.content);
        prop_assert!(found.chunks <= matched);
    }

    #[test]
    fn the_order_of_the_images_does_not_matter(
        rows in prop::collection::vec((caption(), caption()), 1..6),
    ) {
        let scored = |rows: &[(String, String)]| {
            let captions: Vec<&String> = rows.iter().map(|row| &row.0).collect();
            let references: Vec<[&String; 1]> = rows.iter().map(|row| [&row.1]).collect();
            SMALL.score(&captions, &references).unwrap()
        };
        let there = scored(&rows);
        let mut back: Vec<(String, String)> = rows;
        back.reverse();
        let mut again = scored(&back);
        again.per_image.reverse();
        again.statistics.reverse();
        prop_assert_eq!(again, there);
    }
}
