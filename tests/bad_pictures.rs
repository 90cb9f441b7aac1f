//! One damaged picture among many: the command stops and goes on, or passes over it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{fail, finecap, succeed};
use finecap::train::NpyReader;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;

const PICTURES: usize = 40;
/// In the second batch.
const DAMAGED: usize = 35;

struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::create_dir(world.path("pictures")).unwrap();
        for i in 0..PICTURES {
            let colour = |x: u32, y: u32| Rgb([x as u8 * 9, y as u8 * 7, i as u8 * 6]);
            RgbImage::from_fn(20, 16, colour).save(world.picture(i)).unwrap();
        }
        let candidates: serde_json::Map<String, Value> = (0..PICTURES)
            .map(|i| (format!("{i:03}"), json!([format!("a red {i}"), "a blue ring"])))
            .collect();
        fs::write(world.path("c.json"), Value::from(candidates).to_string()).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn picture(&self, i: usize) -> PathBuf {
        self.path("pictures").join(format!("{i:03}.png"))
    }

    /// Cuts one picture short, and returns what it was.
    fn damage(&self) -> Vec<u8> {
        let whole = fs::read(self.picture(DAMAGED)).unwrap();
        fs::write(self.picture(DAMAGED), &whole[..whole.len() / 2]).unwrap();
        whole
    }

    fn embed(&self, output: &str, more: &[&str]) -> Command {
        let mut command = finecap();
        command.args(["embed", "image", "--clip"]).arg(clip()).args(more);
        command.arg("--input").arg(self.path("pictures")).arg("--output").arg(self.path(output));
        command
    }

    fn score(&self, output: &str, more: &[&str]) -> Command {
        let mut command = finecap();
        command.args(["score", "--clip"]).arg(clip()).args(more);
        command.arg("--images").arg(self.path("pictures"));
        command.arg("--candidates").arg(self.path("c.json"));
        command.arg("--output").arg(self.path(output));
        command
    }

    /// No unfinished work is left.
    fn is_tidy(&self) -> bool {
        let names = fs::read_dir(self.0.path()).unwrap();
        names
            .into_iter()
            .all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("part"))
    }
}

fn clip() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/clipscore")
}

/// Rows and names of embeddings.
fn embeddings(path: &Path) -> (Vec<Vec<f32>>, Vec<String>) {
    let mut reader = NpyReader::open(path).unwrap();
    let width = reader.row_len();
    let values = reader.read_all().unwrap();
    let names = fs::read_to_string(path.with_extension("json")).unwrap();
    (values.chunks(width).map(<[f32]>::to_vec).collect(), serde_json::from_str(&names).unwrap())
}

#[test]
fn embedding_goes_on_after_a_damaged_picture_was_mended() {
    let world = World::new();
    succeed(&mut world.embed("whole.npy", &[]));
    let whole = world.damage();
    let error = fail(&mut world.embed("rows.npy", &[]));
    assert!(error.contains("035.png") && error.contains("--resume"), "{error}");
    assert!(!world.path("rows.npy").exists() && world.path("rows.npy.part").exists());
    // The name of another work is not taken for this one.
    let error = fail(&mut world.embed("rows.npy", &["--resume", "--raw"]));
    assert!(error.contains("other work"), "{error}");
    fs::write(world.picture(DAMAGED), whole).unwrap();
    succeed(&mut world.embed("rows.npy", &["--resume"]));
    let read = |name: &str| fs::read(world.path(name)).unwrap();
    assert_eq!(read("rows.npy"), read("whole.npy"));
    assert_eq!(read("rows.json"), read("whole.json"));
    assert!(world.is_tidy());
}

#[test]
fn a_damaged_picture_leaves_a_row_of_nan_or_none() {
    let world = World::new();
    world.damage();
    let output = succeed(&mut world.embed("nan.npy", &["--skip-bad", "nan"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("skipped: image") && said.contains("035.png"), "{said}");
    assert!(said.contains("1 of 40 pictures could not be read"), "{said}");
    let (rows, names) = embeddings(&world.path("nan.npy"));
    assert_eq!((rows.len(), names.len()), (PICTURES, PICTURES));
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row.iter().all(|x| x.is_nan()), i == DAMAGED);
    }
    // It was begun without, and goes on with.
    fail(&mut world.embed("drop.npy", &[]));
    succeed(&mut world.embed("drop.npy", &["--resume", "--skip-bad", "drop"]));
    let (rows, names) = embeddings(&world.path("drop.npy"));
    assert_eq!((rows.len(), names.len()), (PICTURES - 1, PICTURES - 1));
    assert!(!names.contains(&"035.png".to_string()));
    assert!(rows.iter().flatten().all(|x| x.is_finite()));
    assert!(world.is_tidy());
}

#[test]
fn scores_go_on_or_pass_over_it() {
    let world = World::new();
    succeed(&mut world.score("whole.json", &[]));
    let whole = world.damage();
    let error = fail(&mut world.score("s.json", &[]));
    assert!(error.contains("035.png") && error.contains("--resume"), "{error}");
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(world.path(name)).unwrap()).unwrap()
    };
    succeed(&mut world.score("nan.json", &["--skip-bad", "nan"]));
    let scores = read("nan.json");
    assert_eq!(scores["035"]["CLIPScore"], json!([null, null]));
    assert!(scores["034"]["CLIPScore"][1].is_number());
    let printed = succeed(&mut world.score("drop.json", &["--skip-bad", "drop"])).stdout;
    assert!(!String::from_utf8(printed).unwrap().contains("NaN"));
    assert_eq!(read("drop.json").as_object().unwrap().len(), PICTURES - 1);
    fs::write(world.picture(DAMAGED), whole).unwrap();
    succeed(&mut world.score("s.json", &["--resume"]));
    assert_eq!(
        fs::read(world.path("s.json")).unwrap(),
        fs::read(world.path("whole.json")).unwrap()
    );
    assert!(world.is_tidy());
}

#[test]
fn names_never_overwrite_embeddings() {
    let world = World::new();
    let error = fail(&mut world.embed("rows.json", &[]));
    assert!(error.contains("rows.json") && error.contains("rows.npy"), "{error}");
    assert!(!world.path("rows.json").exists());
}
