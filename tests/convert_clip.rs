//! `finecap convert` as a user types it.

mod common;

use std::fs;
use std::path::Path;

use common::{fail, files, finecap, succeed};
use finecap::clip::{ClipConfig, ClipPipeline, ClipTokenizer, PreprocessConfig};

/// A folder in Hugging Face's layout.
fn folder(dir: &Path) {
    let tokenizer = ClipTokenizer::from_words("a red star above blue ring".split(' ')).unwrap();
    let config = ClipConfig::tiny(tokenizer.vocab_size(), tokenizer.bos_id(), tokenizer.eos_id());
    let model = config.init(&burn::tensor::Device::flex()).unwrap();
    let preprocess = PreprocessConfig::openai(48);
    ClipPipeline::new(config, model, tokenizer, preprocess).unwrap().save(dir).unwrap();
}

#[test]
fn a_folder_comes_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    folder(&path("first"));
    let mut there = finecap();
    there.arg("convert").args([path("first"), path("open-clip")]).args(["--layout", "open-clip"]);
    let output = succeed(&mut there);
    let report = String::from_utf8(output.stdout).unwrap();
    // Every tensor of the file has its line, and its name in the other layout.
    let bytes = fs::read(path("first/model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    for name in header.as_object().unwrap().keys().filter(|name| *name != "__metadata__") {
        let line = report.lines().find(|line| line.split('\t').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {report}"));
        assert!(!line.ends_with('\t'), "{line}");
    }
    let fused = "text_model.encoder.layers.2.self_attn.k_proj.weight\t[128, 128]\t\
                 transformer.resblocks.2.attn.in_proj_weight";
    assert!(report.lines().any(|line| line == fused), "{report}");

    succeed(finecap().arg("convert").args([path("open-clip"), path("again")]));
    let names = |of: &str| -> Vec<_> {
        let root = path(of);
        let inside = files(&root).into_iter();
        inside.map(|(file, bytes)| (file.strip_prefix(&root).unwrap().to_owned(), bytes)).collect()
    };
    assert_eq!(names("first"), names("again"));
}

#[test]
fn what_cannot_be_converted_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let convert = |input: &str, output: &str, more: &[&str]| {
        let mut command = finecap();
        command.arg("convert").args([path(input), path(output)]).args(more);
        fail(&mut command)
    };
    folder(&path("model"));
    assert!(convert("model", "model", &[]).contains("exists already"));
    assert!(convert("model", "out", &["--activation", "gelu"]).contains("QuickGELU"));
    assert!(convert("none", "out", &[]).contains("none"));
    fs::write(path("notes.txt"), "no weights").unwrap();
    assert!(convert("notes.txt", "out", &[]).contains("notes.txt"));
    fs::copy(path("model/model.safetensors"), path("alone.safetensors")).unwrap();
    assert!(convert("alone.safetensors", "out", &[]).contains("--activation"));
    // Batch norm and attention pooling have no names at Hugging Face.
    let resnet =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/clip_resnet");
    fs::create_dir(path("resnet")).unwrap();
    for (file, _) in files(&resnet) {
        fs::copy(&file, path("resnet").join(file.file_name().unwrap())).unwrap();
    }
    let tokenizer = ClipTokenizer::from_words((0..596).map(|i| format!("w{i}"))).unwrap();
    tokenizer.save(&path("resnet")).unwrap();
    let error = convert("resnet", "out", &["--layout", "hugging-face"]);
    assert!(error.contains("OpenCLIP's layout"), "{error}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
    // Without being asked, a ResNet goes to the layout that has it.
    let mut command = finecap();
    command.arg("convert").args([path("resnet"), path("out")]);
    succeed(&mut command);
    assert!(path("out/open_clip_model.safetensors").is_file());
}
