//! A small run through the command, shared by the tests that need one.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use finecap::scenes::{ScenesConfig, export, generate};

/// A folder with a dozen scenes and settings small enough for seconds.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = ScenesConfig { train: 12, val: 4, test: 4, ..ScenesConfig::default() };
        let records = generate(&config).unwrap();
        export(&records, 16, &dir.path().join("data"), &mut |_, _| {}).unwrap();
        std::fs::write(dir.path().join("tiny.toml"), TINY).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `finecap train PHASE` on the scenes, with further arguments.
    pub fn train(&self, phase: &str, run: &str, more: &[&str]) -> Command {
        let mut command = finecap();
        command.args(["train", phase]);
        command.arg("--data").arg(self.path("data/dataset.json"));
        command.arg("--images").arg(self.path("data/images"));
        command.arg("--config").arg(self.path("tiny.toml"));
        command.arg("--out").arg(self.path(run));
        command.args(more);
        command
    }

    /// Trains all three phases.
    pub fn trained(&self, run: &str) {
        for phase in ["clip", "mle", "scst"] {
            succeed(&mut self.train(phase, run, &[]));
        }
    }
}

/// The command, on the CPU.
pub fn finecap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finecap"));
    command.env("FINECAP_DEVICE", "flex");
    command
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs a command that must fail with exit code 2 and one line, which is returned.
pub fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    errors[0].to_string()
}

/// Every file below a folder, with its content.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

const TINY: &str = r#"
[clip]
steps = 4
batch_size = 4
texts = "alt_texts"
image_size = 16
patch_size = 8
width = 16
layers = 1
heads = 2
embed_dim = 8

[captioner]
d_model = 16
d_ff = 16
n_heads = 2
n_encoder_layers = 1
n_decoder_layers = 1
dropout = 0.1
feature_dropout = 0.2

[mle]
steps = 4
batch_size = 4
captions_per_image = 2

[grammar]
steps = 4
batch_size = 4

[scst]
steps = 4
batch_size = 4
samples = 3
dropout = 0.1

[scst.reward]
clip_s = 1.0
cider = 0.5
prompt = ""

[checkpoint]
every = 2
"#;
