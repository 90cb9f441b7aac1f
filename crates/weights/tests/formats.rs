//! Files that PyTorch wrote, against the same tensors in safetensors.

use std::path::{Path, PathBuf};

use finecap_weights::{DType, Format, Value, WEIGHT_FILES, WeightFile, WeightsError};

fn fixture(name: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("../../fixtures/weights")
        .join(name)
}

fn open(name: &str) -> WeightFile {
    WeightFile::open(&fixture(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// Every tensor of one file is in the other, with type, shape and the same bits.
fn assert_same(file: &WeightFile, expected: &WeightFile) {
    let mut names: Vec<_> = file.tensors().iter().map(|tensor| &tensor.name).collect();
    let mut wanted: Vec<_> = expected.tensors().iter().map(|tensor| &tensor.name).collect();
    names.sort();
    wanted.sort();
    assert_eq!(names, wanted);
    for info in expected.tensors() {
        let name = &info.name;
        assert_eq!(file.get(name), Some(info));
        if info.dtype.is_float() {
            let bits = |file: &WeightFile| -> Vec<u32> {
                file.read_f32(name).unwrap().into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(file).len(), info.elements());
            assert_eq!(bits(file), bits(expected), "{name}");
        } else {
            assert_eq!(file.read_i64(name).unwrap(), expected.read_i64(name).unwrap(), "{name}");
        }
    }
}

#[test]
fn state_dictionaries_of_all_ages() {
    let expected = open("state.safetensors");
    assert_eq!(expected.tensors().len(), 18);
    for (name, format) in [
        ("state.pt", Format::PyTorch),
        ("deflated.pt", Format::PyTorch),
        ("legacy.pt", Format::PyTorchLegacy),
    ] {
        let file = open(name);
        assert_eq!(file.format(), format);
        assert_same(&file, &expected);
        assert_eq!(file.tensors()[0].name, "float32", "the file's order");
    }
    assert!(expected.get("logit_scale").unwrap().shape.is_empty());
    assert_eq!(expected.get("bfloat16").unwrap().dtype, DType::BF16);
}

#[test]
fn whole_modules() {
    assert_same(&open("module.pt"), &open("module.safetensors"));
}

#[test]
fn torchscript() {
    let file = open("script.pt");
    assert_eq!(file.format(), Format::TorchScript);
    let expected = open("script.safetensors");
    assert_same(&file, &expected);
    assert_eq!(file.get("visual.conv1.weight").unwrap().dtype, DType::F16);
    assert!(file.get("logit_scale").unwrap().shape.is_empty());
    assert_eq!(file.read_i64("context_length").unwrap(), [5]);
    assert_eq!(expected.values().get("format").and_then(Value::as_str), Some("pt"));
}

#[test]
fn lightning_checkpoints() {
    let file = open("lightning.ckpt");
    // Only the weights, without the optimizer's tensors.
    assert_same(&file, &open("lightning.safetensors"));

    let values = file.values();
    assert_eq!(values.get("epoch").and_then(Value::as_i64), Some(12));
    assert_eq!(values.get("state_dict"), None);
    let words = file.read_value("_vocab").unwrap();
    assert_eq!(words.entries().len(), 4);
    assert_eq!(words.get("3").and_then(Value::as_str), Some("Käse"));
    let options = file.read_value("_opt").unwrap();
    assert_eq!(options.get("d_model").and_then(Value::as_i64), Some(512));
    assert!(file.read_value("model.logit_scale").is_err());

    let settings = values.get("hyper_parameters").unwrap();
    assert_eq!(settings.get("mean").and_then(Value::as_f64), Some(0.25));
    assert_eq!(settings.get("count").and_then(Value::as_i64), Some(3));
    assert_eq!(settings.get("none"), Some(&Value::None));
    assert_eq!(settings.get("sizes").unwrap().items().len(), 3);
    let options = settings.get("opt").unwrap();
    assert!(matches!(options, Value::Object { class, .. } if &**class == "argparse.Namespace"));
    assert_eq!(options.get("d_model").and_then(Value::as_i64), Some(512));
    let unknown = settings.get("settings").unwrap();
    assert_eq!(unknown.get("rate").and_then(Value::as_f64), Some(5e-4));
    assert!(matches!(unknown.get("itself"), Some(Value::Opaque(_))));

    assert!(matches!(values.get("big"), Some(Value::Opaque(_))));
    assert_eq!(values.get("raw"), Some(&Value::Bytes(b"\x00\xff"[..].into())));
    let optimizer = &values.get("optimizer_states").unwrap().items()[0];
    let (_, first) = &optimizer.get("state").unwrap().entries()[0];
    assert!(matches!(first.get("exp_avg"), Some(Value::Tensor { dtype: DType::F32, .. })));
}

#[test]
fn shards() {
    for name in ["sharded", "sharded/model.safetensors.index.json"] {
        let file = open(name);
        assert_eq!(file.tensors().len(), 2);
        assert_eq!(file.read_f32("b.weight").unwrap().len(), 3);
    }
}

/// A safetensors file whose header is `length` bytes long.
fn safetensors(length: usize) -> Vec<u8> {
    let header = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let header = format!("{header:length$}");
    [&(length as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
}

#[test]
fn no_length_of_a_header_is_taken_for_another_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    // The second byte of what a zip, a pickle, JSON, text and a byte order mark begin with.
    for second in [b'K', b'{', b' ', b'\n', b'\t', b'"', 0x00, 0x02, 0x80, 0xbb] {
        for first in 0..=u8::MAX {
            let length = usize::from(u16::from_le_bytes([first, second])).max(60);
            let bytes = safetensors(length);
            let file = WeightFile::from_bytes(&path, bytes.clone()).unwrap();
            assert_eq!((file.format(), file.tensors().len()), (Format::Safetensors, 1));
            if b"P \n\t{\x80\xef".contains(&first) {
                std::fs::write(&path, &bytes).unwrap();
                let file = WeightFile::open(&path).unwrap_or_else(|e| panic!("{length}: {e}"));
                assert_eq!(file.read_f32("w").unwrap(), [0.0; 2]);
                // Cut off, it still is what it is.
                std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
                let error = WeightFile::open(&path).unwrap_err();
                assert!(matches!(error, WeightsError::Damaged { .. }), "{length}: {error}");
                assert!(error.to_string().contains("safetensors header"), "{length}: {error}");
            }
        }
    }
}

#[test]
fn a_folder_is_known_by_each_of_the_names() {
    for name in WEIGHT_FILES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        if name.ends_with(".json") {
            for shard in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
                std::fs::copy(fixture("sharded").join(shard), folder.path().join(shard)).unwrap();
            }
            // An editor on Windows may have put a byte order mark before it.
            let index = fixture("sharded/model.safetensors.index.json");
            let index = std::fs::read_to_string(index).unwrap();
            std::fs::write(&path, format!("\u{feff}{index}")).unwrap();
        } else {
            std::fs::write(&path, safetensors(64)).unwrap();
        }
        let file = WeightFile::open(folder.path()).unwrap();
        assert_eq!(file.path(), path);
        assert!(!file.tensors().is_empty());
    }
}

#[test]
fn an_adapter_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("adapter_config.json"), "{}").unwrap();
    let error = WeightFile::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("PEFT adapter") && error.contains("merge_and_unload"), "{error}");
}

#[test]
fn an_index_only_reaches_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors.index.json");
    for other in ["../secret", "/etc/passwd", "a/b", "", ".", "..", "model.safetensors.index.json"]
    {
        let json = format!(r#"{{"weight_map": {{"a": "{other}"}}}}"#);
        std::fs::write(&path, json).unwrap();
        let error = WeightFile::open(&path).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    }
}

#[test]
fn an_index_must_agree_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors.index.json");
    let shard = "model-00002-of-00002.safetensors";
    std::fs::copy(fixture("sharded").join(shard), folder.path().join(shard)).unwrap();
    for (map, accepted) in [
        (format!(r#"{{"b.weight": "{shard}"}}"#), true),
        (format!(r#"{{"b.weight": "{shard}", "c": "{shard}"}}"#), false),
        (format!(r#"{{"c": "{shard}"}}"#), false),
        ("{}".to_string(), true),
        ("3".to_string(), false),
    ] {
        std::fs::write(&path, format!(r#"{{"weight_map": {map}}}"#)).unwrap();
        assert_eq!(WeightFile::open(&path).is_ok(), accepted, "{map}");
    }
}

#[test]
fn messages_name_the_file_and_help() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    for (content, words) in [
        (&b""[..], "is empty; finecap reads"),
        (b"hello, I am text", "is not a weight file"),
        (b"\x80\x02]q\x00.", "is a pickle that `torch.save` did not write"),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "PyTorch did not write"),
        (b"\x02\0\0\0\0\0\0\0{}rest", "is damaged or cut off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"{\"a\": 1}", "is JSON without a `weight_map`"),
    ] {
        std::fs::write(&path, content).unwrap();
        let message = WeightFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("weights.bin"), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let missing = WeightFile::open(&folder.path().join("absent.pt")).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && missing.contains("absent.pt"), "{missing}");

    let file = open("state.pt");
    let error = file.read_f32("int64").unwrap_err().to_string();
    assert!(error.contains("int64") && error.contains("cannot be read as float32"), "{error}");
    let error = file.read_i64("nothing").unwrap_err().to_string();
    assert!(error.contains("has no tensor `nothing`"), "{error}");
}
