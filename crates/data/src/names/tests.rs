use proptest::prelude::*;

use super::*;

fn pairs(own: &[&str], others: &[&str]) -> Result<Vec<Option<usize>>, NameClash> {
    Names::new(own.iter().copied()).pair(&Names::new(others.iter().copied()))
}

fn is_same(a: &str, b: &str) -> bool {
    let there = pairs(&[a], &[b]).unwrap();
    assert_eq!(there, pairs(&[b], &[a]).unwrap(), "{a} {b}");
    assert_eq!(there[0], Names::new([b]).find(a).unwrap(), "{a} {b}");
    there == [Some(0)]
}

#[test]
fn names_of_one_image() {
    for (a, b) in [
        ("3.1", "3.1"),
        ("7", "7.jpg"),
        ("val/7", "7.JPG"),
        ("val/7.webp", "7"),
        ("a/b/7.png", "b/7.png"),
        (r"val\7.jpg", "val/7.jpg"),
        ("./7.jpg", "7.jpg"),
        ("/data//val/./7.jpg", "val/7.jpg"),
        ("42", "000000000042.jpg"),
        ("42", "val2017/000000000042.jpg"),
        ("42", "COCO_val2014_000000000042.jpg"),
        ("42", "val2014/COCO_val2014_000000000042"),
        ("0", "000000000000.jpg"),
        ("000000000042", "COCO_val2014_000000000042.jpg"),
        ("https://x.org/a/7.jpg", "7.jpg"),
    ] {
        assert!(is_same(a, b), "{a} {b}");
    }
}

#[test]
fn names_of_two_images() {
    for (a, b) in [
        ("3.1", "3.2"),
        ("3.1", "3"),
        ("3.1", "3.png"),
        ("flickr.2", "flickr.1"),
        ("val/2.jpg", "train/2.jpg"),
        ("val/2", "train/2.jpg"),
        ("1.png", "1.jpg"),
        ("1.PNG", "1.png"),
        ("A.jpg", "a.jpg"),
        ("2.jpg", "12.jpg"),
        ("7", "007"),
        ("7.0", "7"),
        ("42.jpg", "000000000042.jpg"),
        ("COCO_val2014_000000000042.jpg", "COCO_train2014_000000000042.jpg"),
        ("val/000000000042.jpg", "train/000000000042.jpg"),
        ("-42", "000000000042.jpg"),
        ("1000000000042", "000000000042.jpg"),
        (".jpg", ""),
    ] {
        assert!(!is_same(a, b), "{a} {b}");
    }
}

#[test]
fn a_folder_may_be_left_out_where_both_sides_are_clear() {
    // Case: `2.jpg` is in two folders of either side.
    for (own, others, name, images) in [
        (&["2.jpg"][..], &["train/2.jpg", "val/2.jpg"][..], "2.jpg", ["train/2.jpg", "val/2.jpg"]),
        (&["train/2.jpg", "val/2.jpg"], &["2.jpg"], "2.jpg", ["train/2.jpg", "val/2.jpg"]),
        (&["1"], &["1.png", "1.jpg"], "1", ["1.png", "1.jpg"]),
        (
            &["42"],
            &["000000000042.jpg", "x/COCO_val2014_000000000042.jpg"],
            "42",
            ["000000000042.jpg", "x/COCO_val2014_000000000042.jpg"],
        ),
        (&["a", "a"], &["a"], "a", ["a", "a"]),
        (&["a"], &["a", "a"], "a", ["a", "a"]),
    ] {
        let clash = pairs(own, others).unwrap_err();
        assert_eq!((&clash.name[..], clash.images.each_ref().map(|i| &i[..])), (name, images));
    }
    let two = ["train/2.jpg", "val/2.jpg"];
    assert_eq!(pairs(&["/x/train/2.jpg", "/x/val/2.jpg"], &two), Ok(vec![Some(0), Some(1)]));
    // What is equal is paired first, and is not free any more.
    assert_eq!(pairs(&["2.jpg", "val/2.jpg"], &["2.jpg"]), Ok(vec![Some(0), None]));
    assert_eq!(pairs(&["val/2.jpg"], &["2.jpg", "val/2.jpg"]), Ok(vec![Some(1)]));
}

#[test]
fn files_have_whole_paths() {
    let files = Names::of_files(["1.jpg", "a/2.jpg", "COCO_val2014_000000000042.jpg"]);
    for (name, place) in [("1", Some(0)), ("2", Some(1)), ("2.jpg", Some(1)), ("42", Some(2))] {
        assert_eq!(files.find(name), Ok(place), "{name}");
    }
    for name in ["train/1.jpg", "train/1", "b/2.jpg"] {
        assert_eq!(files.find(name), Ok(None), "{name}");
        assert_eq!(Names::new([name]).pair(&files), Ok(vec![None]), "{name}");
        assert_eq!(files.pair(&Names::new([name])), Ok(vec![None; 3]), "{name}");
    }
}

#[test]
fn aliases_come_after_first_names() {
    let own = Names::with_aliases([["train/0.jpg", "0.jpg"], ["val/0.jpg", "0.jpg"]]);
    let files = Names::of_files(["0.jpg", "train/0.jpg", "val/0.jpg"]);
    assert_eq!(own.pair(&files), Ok(vec![Some(1), Some(2)]));
    let clash = own.pair(&Names::of_files(["0.jpg"])).unwrap_err();
    assert_eq!(clash.images, ["train/0.jpg", "val/0.jpg"]);
    let coco = Names::with_aliases([["42", "x.jpg"], ["43", "y.jpg"]]);
    assert_eq!(coco.find("y"), Ok(Some(1)));
    assert_eq!(Names::new(["y", "42"]).pair(&coco), Ok(vec![Some(1), Some(0)]));
}

/// Folders, a stem that may hold points, and an ending: few of each, so that they collide.
fn name() -> impl Strategy<Value = String> {
    let folder = prop_oneof![Just(""), Just("train/"), Just("val/"), Just("a/val/"), Just("./")];
    let stem = prop_oneof![
        Just("1"),
        Just("2"),
        Just("1.2"),
        Just("1.3"),
        Just("000000000001"),
        Just("COCO_val2014_000000000001"),
        Just("COCO_train2014_000000000001")
    ];
    let ending = prop_oneof![Just(""), Just(".jpg"), Just(".png"), Just(".JPG")];
    (folder, stem, ending).prop_map(|(folder, stem, ending)| format!("{folder}{stem}{ending}"))
}

proptest! {
    #[test]
    fn an_image_is_never_taken_twice(own in prop::collection::vec(name(), 0..7),
                                     others in prop::collection::vec(name(), 0..7)) {
        let (own, others): (Vec<&str>, Vec<&str>) =
            (own.iter().map(|s| &**s).collect(), others.iter().map(|s| &**s).collect());
        if let Ok(found) = pairs(&own, &others) {
            let mut taken: Vec<usize> = found.iter().flatten().copied().collect();
            let all = taken.len();
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(all, taken.len());
            for (a, b) in own.iter().zip(&found).filter_map(|(a, b)| Some((*a, others[(*b)?]))) {
                prop_assert!(is_same(a, b), "{} {}", a, b);
            }
            // The other way round says the same.
            let back = pairs(&others, &own);
            if let Ok(back) = back {
                for (a, b) in found.iter().enumerate().filter_map(|(a, b)| Some((a, (*b)?))) {
                    prop_assert_eq!(back[b], Some(a));
                }
            }
        }
    }

    #[test]
    fn whole_names_always_find_themselves(names in prop::collection::hash_set("[ab./]{1,4}|[ -~]{1,9}", 1..9)) {
        let mut whole: Vec<Name> = names.iter().map(|name| Name::new(name)).collect();
        whole.dedup_by(|a, b| a.path == b.path);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let index = Names::new(names.iter().copied());
        for (place, name) in names.iter().enumerate() {
            match index.find(name) {
                Ok(found) => prop_assert_eq!(found, Some(place)),
                Err(clash) => prop_assert_eq!(&clash.images[0], &clash.images[1]),
            }
        }
    }
}
