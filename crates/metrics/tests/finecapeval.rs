//! FineCapEval's word recall and its stemmer against a scorer in Python.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use finecap_metrics::{Match, fine_cell_is_missing, fine_phrases, fine_recall, porter_stem};
use serde_json::Value;

const COLUMNS: [&str; 3] = ["background", "object", "relation"];

fn path(name: &str) -> PathBuf {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    root.join("../../fixtures/finecapeval").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_reader(File::open(path(name)).unwrap()).unwrap()
}

#[test]
fn stems_are_those_of_nltk() {
    let stems = json("porter.json");
    let stems = stems.as_object().unwrap();
    assert!(stems.len() > 300);
    for (word, stem) in stems {
        assert_eq!(porter_stem(word), stem.as_str().unwrap(), "{word}");
    }
}

#[test]
fn recall_is_that_of_the_released_rules() {
    let mut images: BTreeMap<String, [Vec<String>; 3]> = BTreeMap::new();
    let mut skipped = 0;
    for row in csv::Reader::from_path(path("finecapeval.csv")).unwrap().records() {
        let row = row.unwrap();
        let cells: Vec<&str> = row.iter().collect();
        if cells[1..].iter().any(|cell| fine_cell_is_missing(cell)) {
            skipped += 1;
            continue;
        }
        let image = cells[0].split('.').next().unwrap_or_default().to_string();
        let pooled = images.entry(image).or_default().iter_mut();
        pooled.zip(&cells[2..]).for_each(|(phrases, cell)| phrases.extend(fine_phrases(cell)));
    }
    assert_eq!((images.len(), skipped), (8, 2));

    let (captions, expected) = (json("predictions.json"), json("finecapeval.json"));
    for (mode, how) in [("reference", Match::Reference), ("strict", Match::Strict)] {
        for (column, name) in COLUMNS.into_iter().enumerate() {
            let mut sum = 0.0;
            for (image, phrases) in &images {
                let caption = captions[image].as_str().unwrap();
                let found = fine_recall(caption, &phrases[column], how).unwrap_or(0.0);
                let expected = expected[mode]["images"][image][name].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-12, "{mode} {image} {name}: {found}");
                sum += found;
            }
            let expected = expected[mode]["corpus"][name].as_f64().unwrap();
            assert!((sum / images.len() as f64 - expected).abs() < 1e-12, "{mode} {name}");
        }
    }
}
