//! Pixels against Pillow's and torchvision's.

use std::fs;
use std::path::{Path, PathBuf};

use finecap_clip::{PreprocessConfig, load_image};
use image::RgbImage;
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/preprocess")
}

#[test]
fn every_picture_is_resized_to_the_last_bit() {
    let mut compared = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // NAME.SIZE.png
        let parts: Vec<&str> = name.split('.').collect();
        let [picture, size, "png"] = parts[..] else { continue };
        let source = load_image(&folder().join(format!("{picture}.png"))).unwrap();
        let expected = load_image(&folder().join(&name)).unwrap();
        let ours = PreprocessConfig::openai(size.parse().unwrap()).crop(&source).unwrap();
        let differing = ours.pixels().zip(expected.pixels()).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 25);
}

#[test]
fn values_are_normalised() {
    let text = fs::read_to_string(folder().join("pixels.json")).unwrap();
    let expected: Vec<f32> = serde_json::from_str(&text).unwrap();
    let source = load_image(&folder().join("noise-portrait.png")).unwrap();
    let ours = PreprocessConfig::openai(32).pixels(&source).unwrap();
    assert_eq!(ours.len(), expected.len());
    for (a, b) in ours.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
}

#[test]
fn the_configuration_survives_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("preprocessor_config.json");
    let config = PreprocessConfig::openai(224);
    config.save(&path).unwrap();
    assert_eq!(PreprocessConfig::from_file(&path).unwrap(), config);
    fs::write(&path, r#"{"crop_size": 224, "image_mean": [0, 0], "image_std": [1, 1, 1]}"#).unwrap();
    let message = PreprocessConfig::from_file(&path).unwrap_err().to_string();
    assert!(message.contains("preprocessor_config.json") && message.contains("image_mean"));
}

#[test]
fn bad_images_are_errors_that_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.png");
    let message = || load_image(&path).unwrap_err().to_string();
    assert!(message().contains("picture.png"), "missing");
    let whole = fs::read(folder().join("noise-square.png")).unwrap();
    for bytes in [&b""[..], b"hello", &whole[..whole.len() / 2]] {
        fs::write(&path, bytes).unwrap();
        assert!(message().contains("picture.png"), "{}", message());
    }
    // A PNG that claims to be 100,000 pixels wide.
    let mut huge = whole.clone();
    huge[16..20].copy_from_slice(&100_000u32.to_be_bytes());
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, &huge).unwrap();
    assert!(message().contains("picture.png"), "{}", message());
    assert!(PreprocessConfig::openai(32).crop(&RgbImage::new(0, 5)).is_err());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_never_panics(cut in 0usize..2000, flips in prop::collection::vec((0usize..2000, any::<u8>()), 0..8)) {
        let mut bytes = fs::read(folder().join("smooth-tiny.png")).unwrap();
        for (at, value) in flips {
            let at = at % bytes.len();
            bytes[at] ^= value;
        }
        bytes.truncate(cut.max(1));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.png");
        fs::write(&path, bytes).unwrap();
        let _ = load_image(&path);
    }

    #[test]
    fn any_shape_becomes_a_square(width in 1u32..90, height in 1u32..90, size in 1u32..40) {
        let image = RgbImage::from_pixel(width, height, image::Rgb([9, 120, 250]));
        let crop = PreprocessConfig::openai(size).crop(&image).unwrap();
        prop_assert_eq!(crop.dimensions(), (size, size));
        prop_assert!(crop.pixels().all(|p| p.0 == [9, 120, 250]));
    }
}
