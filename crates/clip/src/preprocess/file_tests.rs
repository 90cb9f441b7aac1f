use proptest::prelude::*;

use super::*;

fn read(value: &Value) -> Result<PreprocessConfig, ClipError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preprocessor_config.json");
    fs::write(&path, value.to_string()).unwrap();
    PreprocessConfig::from_file(&path)
}

#[test]
fn settings_survive_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preprocessor_config.json");
    let squash = PreprocessConfig { fit: Fit::Squash, ..PreprocessConfig::openai(448) };
    let own = PreprocessConfig { mean: [0.1, 0.2, 0.3], ..PreprocessConfig::openai(64) };
    for config in [PreprocessConfig::openai(224), squash, own] {
        config.save(&path).unwrap();
        assert_eq!(PreprocessConfig::from_file(&path).unwrap(), config);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("\u{feff}{text}")).unwrap();
        assert_eq!(PreprocessConfig::from_file(&path).unwrap(), config);
    }
}

#[test]
fn generations_of_files_are_read() {
    // The layout of openai/clip-vit-base-patch32.
    let old = json!({"crop_size": 224, "do_center_crop": true, "do_normalize": true,
        "do_resize": true, "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224});
    let openai = PreprocessConfig::openai(224);
    assert_eq!(read(&old).unwrap(), openai);
    assert_eq!(
        read(&json!({"image_processor": old, "processor_class": "CLIPProcessor"})).unwrap(),
        openai
    );
    // Defaults of the class.
    assert_eq!(read(&json!({"image_processor_type": "CLIPImageProcessorFast"})).unwrap(), openai);
    let plain = read(&json!({"do_normalize": false, "image_mean": [9, 9, 9]})).unwrap();
    assert_eq!((plain.mean, plain.std), ([0.0; 3], [1.0; 3]));
}

#[test]
fn unknown_ways_are_errors_that_name_the_field() {
    for (value, name) in [
        (json!({"image_processor_type": "ViTImageProcessor"}), "ViTImageProcessor"),
        (json!({"feature_extractor_type": "SiglipFeatureExtractor"}), "feature_extractor_type"),
        (json!({"resample": 2}), "resample"),
        (json!({"size": 8, "crop_size": 9}), "crop_size"),
        (json!({"size": 336}), "crop_size"),
        (json!({"size": 8, "do_center_crop": false}), "do_center_crop"),
        (json!({"do_resize": false}), "do_resize"),
        (json!({"do_rescale": false}), "do_rescale"),
        (json!({"do_pad": true}), "do_pad"),
        (json!({"rescale_factor": 1}), "rescale_factor"),
        (json!({"rescale_factor": "x"}), "rescale_factor"),
        (json!({"size": 0, "crop_size": 0}), "size"),
        (json!({"size": {"longest_edge": 224}}), "longest_edge"),
        (json!({"size": {"shortest_edge": 224, "longest_edge": 500}}), "longest_edge"),
        (json!({"size": {"height": 224, "width": 200}}), "size"),
        (json!({"image_std": [1, 0, 1]}), "deviations"),
        (json!({"image_mean": 0.5}), "image_mean"),
        (json!({"image_mean": [0.5, 0.5]}), "image_mean"),
    ] {
        let error = read(&value).unwrap_err();
        assert!(matches!(error, ClipError::Config { .. }), "{error}");
        assert!(error.to_string().contains(name), "{value}: {error}");
    }
}

/// One of the ways to write a size, and the height and width or the short side that it means.
fn any_size() -> impl Strategy<Value = (Option<Value>, Option<Size>)> {
    let side = prop::sample::select(vec![8u32, 16, 224]);
    prop_oneof![
        Just((None, Some(Size::Short(224)))),
        side.clone().prop_map(|s| (Some(json!(s)), Some(Size::Short(s)))),
        side.clone().prop_map(|s| (Some(json!({"shortest_edge": s})), Some(Size::Short(s)))),
        (side.clone(), side.clone())
            .prop_map(|(h, w)| (Some(json!({"height": h, "width": w})), Some(Size::Both(h, w)))),
        side.prop_map(|s| (Some(json!({"longest_edge": s})), None)),
    ]
}

proptest! {
    /// What is accepted comes out as large as transformers makes it: exactly the crop's square, cut
    /// from a picture whose short side or whose both sides were resized to it.
    #[test]
    fn sizes_mean_what_they_mean_to_transformers(
        (size_value, size) in any_size(),
        crop in prop::option::of((prop::sample::select(vec![8u32, 16, 224]), any::<bool>())),
        do_crop in any::<bool>(),
    ) {
        let mut object = Map::new();
        object.insert("do_center_crop".into(), json!(do_crop));
        if let Some(value) = size_value {
            object.insert("size".into(), value);
        }
        if let Some((side, bare)) = crop {
            let both = json!({"height": side, "width": side});
            object.insert("crop_size".into(), if bare { json!(side) } else { both });
        }
        let crop = crop.map_or(224, |(side, _)| side);
        let expected = match size {
            Some(Size::Short(side)) if do_crop && side == crop => Some((side, Fit::CentreCrop)),
            Some(Size::Both(h, w)) if h == w && (!do_crop || w == crop) => Some((w, Fit::Squash)),
            _ => None,
        };
        match (read(&Value::Object(object.clone())), expected) {
            (Ok(found), Some(expected)) => prop_assert_eq!((found.size, found.fit), expected),
            (Err(error), None) => {
                let text = error.to_string();
                prop_assert!(text.contains("size") || text.contains("crop"), "{}", text);
            }
            (found, expected) => prop_assert!(false, "{:?}: {:?}, not {:?}", object, found, expected),
        }
    }
}

/// Any value that JSON can have, of the kinds that settings have and of others.
fn any_value() -> impl Strategy<Value = Value> {
    let side =
        prop::sample::select(vec![json!(-1), json!(0), json!(16), json!(1u64 << 40), json!(0.5)]);
    let flat = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        side.clone(),
        Just(json!("bicubic")),
        prop::collection::vec(-2.0..2.0f64, 0..4).prop_map(Value::from),
    ];
    let names = prop::sample::select(vec!["height", "width", "shortest_edge", "longest_edge", "x"]);
    let sides = prop::collection::btree_map(names, side, 0..3).prop_map(|sides| json!(sides));
    prop_oneof![flat, sides]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_settings_panic(
        settings in prop::collection::btree_map(
            prop::sample::select(vec![
                "size", "crop_size", "image_mean", "image_std", "resample", "rescale_factor", "do_resize",
                "do_center_crop", "do_normalize", "do_rescale", "do_pad", "image_processor_type",
                "image_processor",
            ]),
            any_value(),
            0..6,
        ),
    ) {
        if let Ok(config) = read(&json!(settings)) {
            let picture = image::RgbImage::new(5, 7).into();
            prop_assert!(config.size > 512 || config.pixels(&picture).is_ok());
        }
    }
}
