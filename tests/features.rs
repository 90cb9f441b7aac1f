//! `finecap features`, and training on what it makes.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Tensor};
use common::{World, fail, finecap, succeed};
use finecap::clip::{ClipPipeline, Fit, PreprocessConfig, load_image};
use finecap::train::{Dataset, FeatureStore, write_npy};

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
}

fn world() -> World {
    let world = World::new();
    succeed(&mut world.train("clip", "run", &[]));
    world
}

fn extract(world: &World, store: &str, more: &[&str]) -> Command {
    let mut command = finecap();
    command.args(["features", "extract"]);
    command.arg("--clip").arg(world.path("run/clip/model"));
    command.arg("--data").arg(world.path("data/dataset.json"));
    command.arg("--images").arg(world.path("data/images"));
    command.arg("--out").arg(world.path(store)).args(more);
    command
}

fn import(world: &World, from: &str, store: &str) -> Command {
    let mut command = finecap();
    command.args(["features", "import"]);
    command.arg("--data").arg(world.path("data/dataset.json"));
    command.arg("--from").arg(world.path(from)).arg("--out").arg(world.path(store));
    command
}

/// Grids and embeddings of all images.
fn read(world: &World, store: &str) -> (Vec<f32>, Vec<f32>) {
    let json = world.path("data/dataset.json");
    let dataset = Dataset::karpathy(&json, Some(&world.path("data/images"))).unwrap();
    let store = FeatureStore::open(&world.path(store), &dataset).unwrap();
    let all: Vec<usize> = (0..dataset.images.len()).collect();
    let device = Device::flex();
    (values(store.grids(&all, &device)), values(store.embeddings(&all, &device)))
}

#[test]
fn features_are_the_models_in_either_type() {
    let world = world();
    let device = Device::flex();
    let clip = ClipPipeline::load(&world.path("run/clip/model"), &device).unwrap();
    let pictures: Vec<_> = (0..20)
        .map(|i| load_image(&world.path(&format!("data/images/{i:06}.png"))).unwrap())
        .collect();
    let expected = clip.embed_images(&pictures, &device).unwrap();
    let (grid, embedding) = (values(expected.grid), values(expected.embedding));
    let reported = succeed(&mut extract(&world, "whole", &[]));
    let reported = String::from_utf8(reported.stderr).unwrap();
    assert!(
        reported.contains("images/s") && reported.contains("20 images, 4 positions"),
        "{reported}"
    );
    let found = read(&world, "whole");
    assert!(worst(&found.0, &grid) < 1e-5 && worst(&found.1, &embedding) < 1e-5);
    succeed(&mut extract(&world, "half", &["--type", "f16", "--layer", "grid"]));
    let found = read(&world, "half");
    let off = worst(&found.0, &grid);
    assert!(off > 1e-6 && off < 1e-3, "{off}");
    assert!(worst(&found.1, &embedding) < 1e-5);
    let bytes = |name: &str| fs::metadata(world.path(name)).unwrap().len();
    assert!(bytes("half/store.f16") < bytes("whole/store.f32"));

    // A size of its own: squashed, and the grid alone.
    succeed(&mut extract(&world, "squashed", &["--size", "16"]));
    let squash = PreprocessConfig { fit: Fit::Squash, ..clip.preprocess.clone() };
    let pixels = squash.batch(&pictures, &device).unwrap();
    let found = read(&world, "squashed");
    assert!(worst(&found.0, &values(clip.model.encode_grid(pixels))) < 1e-5);
    assert!(found.1.is_empty());
    let size = fail(&mut extract(&world, "large", &["--size", "448"]));
    assert!(size.contains("448") && size.contains("16 pixels only"), "{size}");
    let other = fail(&mut extract(&world, "half", &[]));
    assert!(other.contains("`type`") && other.contains("store.json"), "{other}");
    succeed(&mut extract(&world, "whole", &[]));

    // Both kinds are trained on.
    for store in ["half", "squashed"] {
        for phase in ["mle", "scst"] {
            let features = world.path(store);
            let more = ["--features", features.to_str().unwrap()];
            let clip = world.path("run/clip/model");
            succeed(world.train(phase, &format!("on-{store}"), &more).arg("--clip").arg(clip));
        }
    }
}

#[test]
fn an_extraction_cut_short_inside_a_row_goes_on() {
    let world = world();
    succeed(&mut extract(&world, "whole", &[]));
    let whole = fs::read(world.path("whole/store.f32")).unwrap();
    let part = world.path("cut/store.f32.part");
    for length in [0, 5, whole.len() / 3 + 5, whole.len() - 1] {
        fs::create_dir_all(world.path("cut")).unwrap();
        fs::copy(world.path("whole/store.json"), world.path("cut/store.json")).unwrap();
        fs::write(&part, &whole[..length]).unwrap();
        succeed(&mut extract(&world, "cut", &[]));
        assert!(fs::read(world.path("cut/store.f32")).unwrap() == whole, "cut at {length}");
        assert!(!part.exists());
        fs::remove_dir_all(world.path("cut")).unwrap();
    }
}

/// An array `feat` as numpy.savez writes it, but for compression.
fn npz(path: &Path, shape: &[usize], values: &[f32]) {
    let array = path.with_extension("npy");
    write_npy(&array, shape[0], &shape[1..], values.iter().copied()).unwrap();
    let bytes = fs::read(&array).unwrap();
    fs::remove_file(array).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(&bytes);
    let size = bytes.len() as u32;
    let mut sizes = crc.sum().to_le_bytes().to_vec();
    sizes.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    sizes.extend([8, 0, 0, 0]);
    let name = b"feat.npy";
    let mut file = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(sizes.iter().chain(name).chain(&bytes));
    let directory = file.len() as u32;
    file.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
    file.extend(sizes.iter().chain(&[0; 14]).chain(name));
    let length = file.len() as u32 - directory;
    file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    file.extend([length.to_le_bytes(), directory.to_le_bytes()].concat());
    file.extend([0, 0]);
    fs::File::create(path).unwrap().write_all(&file).unwrap();
}

#[test]
fn features_of_other_programs_are_trained_on() {
    let world = world();
    fs::create_dir(world.path("att")).unwrap();
    let cells = |image: usize| (0..24).map(|i| (image * 24 + i) as f32).collect::<Vec<f32>>();
    for image in 0..20 {
        // With and without the picture's ending, in a folder or not; two are of no image.
        let name = ["", ".png"][image % 2];
        npz(&world.path(&format!("att/{image:06}{name}.npz")), &[2, 2, 6], &cells(image));
    }
    for stray in ["19", "0000019"] {
        npz(&world.path(&format!("att/{stray}.npz")), &[2, 2, 6], &cells(0));
    }
    let told = succeed(&mut import(&world, "att", "imported"));
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("20 images, 4 positions of width 6"), "{told}");
    assert!(told.contains("2 files are of no image") && told.contains("0000019.npz"), "{told}");
    let (grids, embeddings) = read(&world, "imported");
    assert_eq!(grids, (0..20).flat_map(cells).collect::<Vec<f32>>());
    assert!(embeddings.is_empty());
    let features = world.path("imported");
    for phase in ["mle", "scst"] {
        succeed(&mut world.train(phase, "run", &["--features", features.to_str().unwrap()]));
    }
    let inside = fs::read_dir(&features).unwrap().map(|e| e.unwrap().file_name());
    let inside: Vec<String> = inside.map(|name| name.into_string().unwrap()).collect();
    assert!(inside.iter().any(|name| name.starts_with("embeddings-")), "{inside:?}");

    npz(&world.path("att/000018.npz"), &[2, 2, 5], &[0.0; 20]);
    let shape = fail(&mut import(&world, "att", "x"));
    assert!(shape.contains("000018.npz") && shape.contains("[4, 5]"), "{shape}");
    fs::write(world.path("att/000018.npz"), b"oops").unwrap();
    let broken = fail(&mut import(&world, "att", "x"));
    assert!(broken.contains("000018.npz") && broken.contains("`feat`"), "{broken}");
    fs::remove_file(world.path("att/000018.npz")).unwrap();
    let missing = fail(&mut import(&world, "att", "y"));
    assert!(
        missing.contains("1 of 20 images") && missing.contains("000018") && missing.contains("att"),
        "{missing}"
    );
    assert!(!world.path("y").exists());
}
