//! Preprocessing against Pillow and torchvision (`fixtures/preprocess.py`), and bad image files.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use finecap_clip::{Fit, Picture, PreprocessConfig, decode_image, load_image};
use finecap_data::DataError;
use image::{ImageFormat, Rgb, RgbImage};
use proptest::prelude::*;
use safetensors::SafeTensors;

fn folder() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../fixtures/preprocess")
}

/// Pictures of other kinds than PNG and JPEG.
fn kinds() -> PathBuf {
    folder().with_file_name("pictures")
}

/// The path of a picture in the one folder or the other.
fn path(name: &str) -> PathBuf {
    let path = folder().join(name);
    if path.exists() { path } else { kinds().join(name) }
}

fn load(name: &str) -> Picture {
    load_image(&path(name)).unwrap()
}

/// A file that the reference made from a picture.
struct Fixture {
    file: String,
    /// The picture.
    of: String,
    /// "crop", "squash", or nothing where it is as large as the picture.
    kind: String,
    size: u32,
}

/// Endings of pictures other than PNG.
const KINDS: [&str; 5] = [".jpg", ".webp", ".gif", ".bmp", ".tiff"];

fn fixtures() -> Vec<Fixture> {
    let entries = [folder(), kinds()].map(|dir| fs::read_dir(dir).unwrap()).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let mut fixtures: Vec<Fixture> = names
        .filter_map(|file| {
            let file = file.into_string().unwrap();
            let stem = file.strip_suffix(".png")?;
            let other = |name: &str| KINDS.iter().any(|kind| name.ends_with(kind));
            if other(stem) {
                let (of, kind) = (stem.to_string(), String::new());
                return Some(Fixture { file, of, kind, size: 0 });
            }
            let (of, rest) = stem.rsplit_once('.')?;
            let (kind, size) = rest.split_once('-')?;
            let of = if other(of) { of.to_string() } else { format!("{of}.png") };
            let (kind, size) = (kind.to_string(), size.parse().unwrap());
            Some(Fixture { file, of, kind, size })
        })
        .collect();
    fixtures.sort_by(|a, b| a.file.cmp(&b.file));
    fixtures
}

/// Largest and mean difference to the reference.
fn difference(fixture: &Fixture) -> (u8, f64) {
    let picture = load(&fixture.of);
    let resized = |fit| {
        let config = PreprocessConfig { fit, ..PreprocessConfig::openai(fixture.size) };
        config.resize(&picture).unwrap()
    };
    let got = match fixture.kind.as_str() {
        "" => picture.clone().into_rgb(),
        "crop" => resized(Fit::CentreCrop),
        "squash" => resized(Fit::Squash),
        other => panic!("unknown fixture {other}"),
    };
    let expected = load(&fixture.file).into_rgb();
    assert_eq!(got.dimensions(), expected.dimensions(), "{}", fixture.file);
    let pairs = got.as_raw().iter().zip(expected.as_raw());
    let differences = pairs.map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = differences.clone().map(f64::from).sum();
    (differences.max().unwrap(), sum / got.len() as f64)
}

#[test]
fn every_pixel_is_pillows() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 148, "{} fixtures", fixtures.len());
    let mut wrong = Vec::new();
    for fixture in fixtures {
        let (largest, mean) = difference(&fixture);
        let found = format!("{}: largest {largest}, mean {mean:.3}", fixture.file);
        // Inks of different resolutions have a decoder of their own.
        let bound = if fixture.of == "inks-420.jpg" {
            println!("{found}");
            (2, 0.1)
        } else {
            (0, 0.0)
        };
        if largest > bound.0 || mean > bound.1 {
            wrong.push(found);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn normalised_values_are_torchvisions() {
    let bytes = fs::read(folder().join("pixels.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let expected = tensors.tensor("landscape").unwrap();
    assert_eq!(expected.shape(), [3, 32, 32]);
    let expected = expected.data().chunks_exact(4);
    let expected: Vec<f32> = expected.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let got = PreprocessConfig::openai(32).pixels(&load("landscape.png")).unwrap();
    assert_eq!(got, expected);
}

#[test]
fn pictures_stack_into_one_tensor() {
    let config = PreprocessConfig::openai(16);
    let pictures = [load("landscape.png"), load("tall.png")];
    let batch = config.batch(&pictures, &burn::tensor::Device::flex()).unwrap();
    assert_eq!(batch.dims(), [2, 3, 16, 16]);
    let values = batch.into_data().try_to_vec::<f32>().unwrap();
    let each: Vec<f32> = pictures.iter().flat_map(|p| config.pixels(p).unwrap()).collect();
    assert_eq!(values, each);
}

/// The error of a file with these bytes, which must name the file.
fn error_of(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    fs::write(&path, bytes).unwrap();
    let error = load_image(&path).unwrap_err();
    assert!(matches!(error, DataError::Image { .. }));
    let error = error.to_string();
    assert!(error.contains("picture.png"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    error
}

/// A PNG of one pixel whose header claims another size.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let dot = RgbImage::from_pixel(1, 1, Rgb([1, 2, 3]));
    dot.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    bytes
}

#[test]
fn unusable_files_are_named_with_a_reason() {
    let missing = load_image(Path::new("no/such/picture.png")).unwrap_err().to_string();
    assert!(missing.contains("no/such/picture.png"), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    let directory = load_image(folder.path()).unwrap_err().to_string();
    assert!(directory.contains("not a file"), "{directory}");

    let png = fs::read(self::folder().join("landscape.png")).unwrap();
    let jpeg = fs::read(self::folder().join("baseline.jpg")).unwrap();
    for (bytes, reason) in [
        (&b""[..], "empty"),
        (b"GIF89a not a picture", "damaged or cut short"),
        (b"hello", "no picture of a kind that is read (PNG, JPEG, WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a web page or a drawing"),
        (&png[..png.len() / 2], "damaged or cut short"),
        (&jpeg[..jpeg.len() / 2], "cut short"),
        (&claiming(0, 1), "damaged"),
        (&claiming(1, 0), "damaged"),
        (&claiming(16_385, 1), "larger than 16384 pixels"),
        (&claiming(100_000, 100_000), "larger than 16384 pixels"),
        (&claiming(16_384, 16_384), "512 MiB"),
        (&claiming(2, 2), "damaged or cut short"),
    ] {
        let error = error_of(bytes);
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn kinds_that_would_not_be_pillows_are_refused_by_name() {
    for (name, reason) in [
        ("sixteen.bmp", "16 bits a pixel"),
        ("palette.tiff", "a palette"),
        ("bits.tiff", "compression of kind 4"),
        ("jpeg.tiff", "compression of kind 7"),
        ("floats.tiff", "no whole levels"),
        ("turned.tiff", "an orientation"),
        ("luminance.tiff", "colours of kind 6"),
        ("picture.avif", "an AVIF picture"),
        ("picture.jp2", "a JPEG 2000 picture"),
        ("picture.ico", "an icon"),
        ("picture.ppm", "no picture of a kind that is read"),
    ] {
        let error = load_image(&kinds().join("refused").join(name)).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(name), "{error}");
    }
}

#[test]
fn content_decides_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really-a-jpeg.png");
    fs::copy(self::folder().join("baseline.jpg"), &path).unwrap();
    assert_eq!(load_image(&path).unwrap(), load("baseline.jpg"));
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_the_whole_picture() {
    for name in [
        "palette.png",
        "rgba.png",
        "baseline.jpg",
        "progressive.jpg",
        "inks.jpg",
        "odd.webp",
        "veiled-exact.webp",
        "few.gif",
        "raw-32.bmp",
        "lzw.tiff",
        "plain.tiff",
    ] {
        let bytes = fs::read(path(name)).unwrap();
        let whole = decode_image(&bytes, name).unwrap();
        for length in 0..bytes.len() {
            if let Ok(picture) = decode_image(&bytes[..length], name) {
                assert_eq!(picture, whole, "{name} cut to {length} of {} bytes", bytes.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn a_plain_picture_of_any_shape_becomes_a_plain_square(
        (width, height) in (1u32..90, 1u32..90),
        size in 1u32..40,
        fit in prop::sample::select(vec![Fit::CentreCrop, Fit::Squash]),
    ) {
        let picture = RgbImage::from_pixel(width, height, Rgb([9, 120, 250])).into();
        let config = PreprocessConfig { fit, ..PreprocessConfig::openai(size) };
        let square = config.resize(&picture).unwrap();
        prop_assert_eq!(square.dimensions(), (size, size));
        prop_assert!(square.pixels().all(|pixel| pixel.0 == [9, 120, 250]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(vec![
            "palette.png", "grey-alpha.png", "bits.png", "deep-grey.png", "palette-4-alpha.png",
            "interlaced.png", "baseline.jpg", "progressive.jpg", "odd-420.jpg", "grey.jpg",
            "inks.jpg", "inks-420.jpg", "ycck.jpg", "odd.webp", "veiled.webp", "veiled-exact.webp",
            "moving.webp", "woven.gif", "clear-margin.gif", "few.bmp", "masks-32.bmp", "lzw.tiff",
            "deflate.tiff", "packed.tiff", "faint.tiff", "pages.tiff",
        ]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fs::read(path(name)).unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(picture) = decode_image(&bytes, name) {
            let pixels = PreprocessConfig::openai(8).pixels(&picture);
            prop_assert!(pixels.is_ok_and(|pixels| pixels.len() == 3 * 64));
        }
    }
}
