//! Stores of a caller's own numbers, and imported files.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use finecap_captioner::{FeatureSource, FeatureSpec};
use proptest::prelude::*;

use super::rows::{Rows, encode};
use super::{FeatureStore, GridType, Header};
use crate::data::{Dataset, ImageRecord, ImageSource, Split};
use crate::{TrainError, write_npy};

fn dataset(names: &[&str]) -> Dataset {
    let image = |name: &&str| ImageRecord {
        name: name.to_string(),
        source: ImageSource::None,
        split: Split::Train,
        captions: vec!["a cat".into()],
        alt_texts: Vec::new(),
    };
    Dataset { images: names.iter().map(image).collect() }
}

/// An array `[2, 3]` of one number.
fn array(dir: &Path, name: &str, value: f32) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_npy(&path, 2, &[3], [value; 6]).unwrap();
}

/// The first number of each image, and the names of files that are of none.
fn imported(images: &[&str], files: &[&str]) -> Result<(Vec<f32>, Vec<String>), String> {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("att");
    fs::create_dir(&from).unwrap();
    for (value, name) in files.iter().enumerate() {
        array(&from, name, value as f32);
    }
    let store = dir.path().join("store");
    let import = FeatureStore::import(&store, &dataset(images), &from, GridType::F32);
    let (found, unused) = import.map_err(|error| {
        assert!(!store.exists(), "nothing is left of what is refused");
        error.to_string()
    })?;
    let grids = (0..images.len()).map(|i| found.grids(&[i], &Device::flex()));
    let first = grids.map(|grid| grid.into_data().iter::<f32>().next().unwrap()).collect();
    let name = |path: &std::path::PathBuf| path.strip_prefix(&from).unwrap().display().to_string();
    Ok((first, unused.iter().map(name).collect()))
}

#[test]
fn every_image_has_a_file_of_its_own() {
    let coco =
        ["val2014/COCO_val2014_000000000042.jpg", "train2014/COCO_train2014_000000000000.jpg"];
    let found = imported(&coco, &["42.npy", "0.npy", "7.npy"]).unwrap();
    assert_eq!(found, (vec![0.0, 1.0], vec!["7.npy".to_string()]));
    let whole = ["a/1.jpg", "b/1.jpg"];
    assert_eq!(imported(&whole, &["b/1.npy", "a/1.jpg.npy"]).unwrap().0, [1.0, 0.0]);

    for (images, files, expected) in [
        (&["a/1.jpg", "b/1.jpg"][..], &["1.npy"][..], ["a/1.jpg", "b/1.jpg"]),
        (&["1.jpg"], &["a/1.npy", "b/1.npy"], ["a/1", "b/1"]),
        // A number is of COCO only as COCO writes it.
        (&["cat_7.jpg", "dog_7.jpg"], &["7.npy"], ["2 of 2 images", "cat_7.jpg"]),
        (&["3.1.jpg", "3.2.jpg"], &["3.npy"], ["2 of 2 images", "3.1.jpg"]),
        (&["000001.jpg"], &["1.npy"], ["1 of 1 images", "000001.jpg"]),
    ] {
        let error = imported(images, files).unwrap_err();
        assert!(expected.iter().all(|words| error.contains(words)), "{error}");
    }
}

#[test]
fn two_files_of_one_image_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("att");
    array(&from, "7.npy", 1.0);
    fs::copy(from.join("7.npy"), from.join("7.npz")).unwrap();
    let store = dir.path().join("store");
    let error = FeatureStore::import(&store, &dataset(&["7.jpg"]), &from, GridType::F32);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("7.npy") && error.contains("7.npz"), "{error}");
}

/// A row of six numbers.
fn row(name: &str, value: f32) -> Result<(String, Vec<f32>), TrainError> {
    Ok((name.into(), vec![value; 6]))
}

#[test]
fn stores_are_made_of_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let spec = FeatureSpec::unknown(FeatureSource::Program, [2, 3]);
    let values = |store: &FeatureStore| {
        let data = store.grids(&[1, 0], &Device::flex()).into_data();
        data.iter::<f32>().collect::<Vec<f32>>()
    };
    let rows = || [row("a.jpg", 0.5), row("b.jpg", 1.5)];
    let memory = FeatureStore::in_memory(spec.clone(), rows()).unwrap();
    let file = FeatureStore::from_rows(&path, spec.clone(), GridType::F16, rows()).unwrap();
    let expected = [[1.5; 6], [0.5; 6]].concat();
    assert_eq!((values(&memory), values(&file)), (expected.clone(), expected));
    assert_eq!((memory.name(1), file.name(1), file.spec()), ("b.jpg", "b.jpg", &spec));

    // Found again by the names that a data set gives them.
    let found = FeatureStore::open(&path, &dataset(&["b", "a"])).unwrap();
    assert_eq!(found.name(0), "b.jpg");
    let lacking = FeatureStore::open(&path, &dataset(&["c"])).unwrap_err().to_string();
    assert!(lacking.contains("no features of c"), "{lacking}");

    let other = dir.path().join("other");
    let failed = || Err(TrainError::setting("mine", "went wrong"));
    let long = || Ok(("c".to_string(), vec![0.0; 7]));
    for (rows, expected) in [
        (vec![row("a", 0.0), failed()], "mine"),
        (vec![row("a", 0.0), row("a", 1.0)], "a stands in it twice"),
        (vec![row("a", 0.0), row("b", f32::NAN)], "of b hold NaN"),
        (vec![row("b", f32::INFINITY)], "no finite number"),
        (vec![row("b", 1e6)], "float16"),
        (vec![long()], "c has 7 numbers where 6 are needed"),
        (vec![], "no rows"),
    ] {
        let made = FeatureStore::from_rows(&other, spec.clone(), GridType::F16, rows);
        let error = made.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "whole or not at all");
    }
    let again = FeatureStore::from_rows(&path, spec, GridType::F16, rows()).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However long the unfinished file is, the whole rows in it are kept and no others believed.
    #[test]
    fn an_unfinished_store_goes_on(length in 0usize..4 * 24 + 30) {
        let dir = tempfile::tempdir().unwrap();
        let images: Vec<String> = (0..4).map(|i| format!("{i}.jpg")).collect();
        let features = FeatureSpec::unknown(FeatureSource::Program, [2, 3]);
        let header = Header { features, embedding: 0, grid_type: GridType::F32, images };
        let row = |i: usize| encode(&header, &header.images[i], &[i as f32; 6], &[]).unwrap();
        let whole: Vec<u8> = (0..4).flat_map(row).collect();
        drop(Rows::begin(dir.path(), &header).unwrap().unwrap());
        let mut cut = [&whole[..], &whole[..]].concat();
        cut.truncate(length);
        fs::write(dir.path().join("store.f32.part"), cut).unwrap();
        let mut rows = Rows::begin(dir.path(), &header).unwrap().unwrap();
        prop_assert_eq!(rows.done(), if length > whole.len() { 0 } else { length / 24 });
        for i in 0..rows.done() {
            prop_assert_eq!(rows.read(i).unwrap(), row(i));
        }
        for i in rows.done()..4 {
            rows.push(&row(i)).unwrap();
        }
        rows.finish().unwrap();
        prop_assert!(fs::read(dir.path().join("store.f32")).unwrap() == whole);
        prop_assert!(Rows::begin(dir.path(), &header).unwrap().is_none());
    }

    /// A store of any other kind is refused by the name of what differs.
    #[test]
    fn a_store_that_differs_in_one_thing_is_refused(place in 0usize..13, value in 2u32..99) {
        let dir = tempfile::tempdir().unwrap();
        let text = |name: &str| Some(name.to_string());
        let features = FeatureSpec {
            layer: text("grid"),
            model: text("small"),
            weights: text("abc"),
            activation: text("gelu"),
            size: Some(1),
            fit: text("squash"),
            resample: text("bicubic"),
            mean: Some([0.0; 3]),
            std: Some([1.0; 3]),
            ..FeatureSpec::unknown(FeatureSource::Clip, [1, 3])
        };
        let images = vec!["a".to_string()];
        let header = Header { features, embedding: 1, grid_type: GridType::F32, images };
        drop(Rows::begin(dir.path(), &header).unwrap());
        let mut other = header.clone();
        let features = &mut other.features;
        let word = Some(value.to_string());
        let name = match place {
            0 => { features.source = FeatureSource::Files; "source" }
            1 => { features.grid = [value as usize, 3]; "grid" }
            2 => { features.layer = word; "layer" }
            3 => { features.model = word; "model" }
            4 => { features.weights = word; "weights" }
            5 => { features.activation = word; "activation" }
            6 => { features.size = Some(value); "size" }
            7 => { features.fit = word; "fit" }
            8 => { features.resample = word; "resample" }
            9 => { features.mean = Some([value as f32, 0.0, 0.0]); "mean" }
            10 => { features.std = None; "std" }
            11 => { other.grid_type = GridType::F16; "type" }
            _ => { other.embedding = value as usize; "embedding" }
        };
        let error = Rows::begin(dir.path(), &other).err().unwrap().to_string();
        prop_assert!(error.contains(&format!("`{name}` is ")), "{error}");
        prop_assert_eq!(error.matches('`').count(), 2, "{}", error);
    }
}
