//! `finecap embed` and `finecap tokenize`, through the command.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Tensor};
use common::{World, fail, finecap, succeed};
use finecap::clip::{ClipPipeline, load_image};
use finecap::train::{NpyReader, write_npy};

fn read(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let mut reader = NpyReader::open(path).unwrap();
    (reader.shape().to_vec(), reader.read_all().unwrap())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-6, "{worst}");
}

/// A world with a trained CLIP model.
fn world() -> World {
    let world = World::new();
    succeed(&mut world.train("clip", "run", &[]));
    world
}

/// A command on that model.
fn on_clip(world: &World, command: &[&str]) -> Command {
    let mut built = finecap();
    built.args(command).arg("--clip").arg(world.path("run/clip/model"));
    built
}

#[test]
fn captions_become_rows_in_order() {
    let world = world();
    let device = Device::flex();
    let clip = ClipPipeline::load(&world.path("run/clip/model"), &device).unwrap();
    // More than one chunk, an empty line in it, a mark at the start and Windows' line ends.
    let mut lines: Vec<String> = (0..1500).map(|i| format!("a circle {}", i % 7)).collect();
    lines[3] = String::new();
    let input = world.path("captions.txt");
    fs::write(&input, format!("\u{feff}{}\r\n", lines.join("\r\n"))).unwrap();
    let embed = |name: &str, more: &[&str]| {
        let output = world.path(name);
        let mut command = on_clip(&world, &["embed", "text"]);
        succeed(command.arg("--input").arg(&input).arg("--output").arg(&output).args(more));
        read(&output)
    };
    let (shape, unit) = embed("unit.npy", &[]);
    assert_eq!(shape, [1500, clip.config.projection_dim]);
    close(&unit, &values(clip.embed_texts(&lines, &device).unwrap()));
    let (_, prompted) = embed("prompted.npy", &["--prompt", "A photo depicts"]);
    let texts: Vec<String> = lines.iter().map(|line| format!("A photo depicts {line}")).collect();
    close(&prompted, &values(clip.embed_texts(&texts, &device).unwrap()));
    let (_, raw) = embed("raw.npy", &["--raw"]);
    let states = clip.text_states(&lines, &device).unwrap();
    close(&raw, &values(clip.model.project_text(states)));
    assert!(unit.iter().zip(&raw).any(|(unit, raw)| (unit - raw).abs() > 1e-3));

    let output = succeed(on_clip(&world, &["tokenize"]).arg("--input").arg(&input));
    let printed = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<Vec<u32>> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let context = clip.model.context_length();
    assert_eq!(ids, clip.tokenizer.encode_batch(&lines, context).unwrap());
    assert_eq!(ids[3], [clip.tokenizer.bos_id(), clip.tokenizer.eos_id()]);
}

#[test]
fn pictures_become_rows_in_the_order_of_their_names() {
    let world = world();
    let device = Device::flex();
    let clip = ClipPipeline::load(&world.path("run/clip/model"), &device).unwrap();
    let embed = |name: &str, arguments: &mut dyn FnMut(&mut Command)| {
        let output = world.path(name);
        let mut command = on_clip(&world, &["embed", "image"]);
        arguments(&mut command);
        succeed(command.arg("--output").arg(&output));
        read(&output)
    };
    let images = world.path("data/images");
    let (shape, unit) = embed("all.npy", &mut |c| {
        c.arg("--input").arg(&images);
    });
    assert_eq!(shape, [20, clip.config.projection_dim]);
    let names: Vec<String> =
        serde_json::from_str(&fs::read_to_string(world.path("all.json")).unwrap()).unwrap();
    assert_eq!((names.len(), names[2].as_str()), (20, "000002.png"));
    assert!(names.is_sorted());
    let pictures: Vec<_> =
        names.iter().map(|name| load_image(&images.join(name)).unwrap()).collect();
    close(&unit, &values(clip.embed_images(&pictures, &device).unwrap().embedding));

    // Files in any order, and the same from prepared pixels.
    let (_, two) = embed("two.npy", &mut |c| {
        c.arg("--input").args([images.join("000007.png"), images.join("000004.png")]);
    });
    let width = clip.config.projection_dim;
    close(&two, &[&unit[4 * width..5 * width], &unit[7 * width..8 * width]].concat());
    let pixels = world.path("pixels.npy");
    let size = clip.preprocess.size as usize;
    let batch = values(clip.preprocess.batch(&pictures, &device).unwrap());
    write_npy(&pixels, pictures.len(), &[3, size, size], batch).unwrap();
    let (_, prepared) = embed("prepared.npy", &mut |c| {
        c.arg("--pixels").arg(&pixels);
    });
    close(&prepared, &unit);
    assert!(!world.path("prepared.json").exists());
    let (_, raw) = embed("raw.npy", &mut |c| {
        c.arg("--pixels").arg(&pixels).arg("--raw");
    });
    let batch = clip.preprocess.batch(&pictures, &device).unwrap();
    close(&raw, &values(clip.model.encode_image(batch).embedding));
}

#[test]
fn bad_input_is_named_and_leaves_nothing() {
    let world = world();
    let output = world.path("out.npy");
    let text = |content: &[u8]| {
        let input = world.path("captions.txt");
        fs::write(&input, content).unwrap();
        let mut command = on_clip(&world, &["embed", "text"]);
        fail(command.arg("--input").arg(input).arg("--output").arg(&output))
    };
    assert!(text(b"").contains("captions.txt: holds no captions"));
    let bytes = text(b"a dog\n\xff\n");
    assert!(bytes.contains("captions.txt") && bytes.contains("line 2"), "{bytes}");

    let image = |arguments: &[&Path]| {
        let mut command = on_clip(&world, &["embed", "image"]);
        fail(command.arg("--output").arg(&output).arg("--input").args(arguments))
    };
    let broken = world.path("broken.png");
    fs::write(&broken, b"not a picture").unwrap();
    let picture = world.path("data/images/000001.png");
    assert!(image(&[&picture, &broken]).contains("broken.png"));
    assert!(image(&[Path::new("no/such.png")]).contains("no/such.png"));
    let twice = image(&[&picture, &picture]);
    assert!(twice.contains("same name") && twice.contains("000001.png"), "{twice}");
    fs::create_dir(world.path("empty")).unwrap();
    assert!(image(&[&world.path("empty")]).contains("has no pictures in it"));

    let pixels = world.path("pixels.npy");
    write_npy(&pixels, 1, &[3, 15, 16], [0.0; 3 * 15 * 16]).unwrap();
    let prepared = || {
        let mut command = on_clip(&world, &["embed", "image"]);
        fail(command.arg("--pixels").arg(&pixels).arg("--output").arg(&output))
    };
    let shape = prepared();
    assert!(shape.contains("[1, 3, 15, 16]") && shape.contains("[n, 3, 16, 16]"), "{shape}");
    fs::write(&pixels, b"oops").unwrap();
    assert!(prepared().contains("pixels.npy: is not a .npy file"));
    for entry in fs::read_dir(world.path("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("out"), "{name} is left");
    }
    let mut command = on_clip(&world, &["embed", "image", "--output", "no/such/folder/a.npy"]);
    let nowhere = fail(command.arg("--input").arg(&picture));
    assert!(nowhere.contains("no/such/folder"), "{nowhere}");
}
