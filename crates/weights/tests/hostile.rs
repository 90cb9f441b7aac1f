//! Files that were cut off, changed, or made to do harm.

use std::path::Path;

use finecap_weights::{WeightFile, WeightsError};
use proptest::prelude::*;

const FILES: [&str; 7] = [
    "state.pt",
    "deflated.pt",
    "legacy.pt",
    "lightning.ckpt",
    "module.pt",
    "script.pt",
    "script.safetensors",
];

fn bytes(name: &str) -> Vec<u8> {
    let folder =
        Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../fixtures/weights");
    std::fs::read(folder.join(name)).unwrap()
}

fn read(bytes: Vec<u8>) -> Result<WeightFile, WeightsError> {
    WeightFile::from_bytes(Path::new("hostile.pt"), bytes)
}

/// Names, and values as bits, of all tensors that can be read.
fn everything(file: &WeightFile) -> Vec<(String, Vec<u32>)> {
    let read = |name: &str| {
        let floats = file.read_f32(name).unwrap_or_default();
        let mut bits: Vec<u32> = floats.into_iter().map(f32::to_bits).collect();
        bits.extend(file.read_i64(name).unwrap_or_default().into_iter().map(|n| n as u32));
        bits
    };
    file.tensors().iter().map(|tensor| (tensor.name.clone(), read(&tensor.name))).collect()
}

#[test]
fn every_beginning_of_a_file_is_refused_or_equal() {
    for name in FILES {
        let whole = bytes(name);
        let expected = everything(&read(whole.clone()).unwrap());
        for length in 0..whole.len() {
            if let Ok(file) = read(whole[..length].to_vec()) {
                assert_eq!(everything(&file), expected, "{name} cut at {length}");
            }
        }
    }
}

/// A zip archive of stored entries, as `torch.save` writes it, without checksums.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut locals = Vec::new();
    let mut centrals = Vec::new();
    for (name, content) in entries {
        let size = (content.len() as u32).to_le_bytes();
        let shared = [&[0; 4], &size[..], &size, &(name.len() as u16).to_le_bytes()].concat();
        let place = (locals.len() as u32).to_le_bytes();
        locals.extend([b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &shared[..], &[0; 2]].concat());
        locals.extend([name.as_bytes(), content].concat());
        let central = b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0";
        centrals.extend([central, &shared[..], &[0; 12], &place, name.as_bytes()].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let sizes = [centrals.len(), locals.len()].map(|size| (size as u32).to_le_bytes()).concat();
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &sizes, &[0; 2]].concat();
    [locals, centrals, end].concat()
}

fn refusal(pickle: &[u8]) -> String {
    read(archive(&[("a/data.pkl", pickle)])).unwrap_err().to_string()
}

#[test]
fn code_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("touched");
    let command = format!("touch {}", target.display());
    let mut pickle = b"\x80\x02}X\x01\x00\x00\x00acos\nsystem\nX".to_vec();
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"\x85Rs.");
    let message = refusal(&pickle);
    assert!(message.contains("holds no tensors"), "{message}");
    assert!(!target.exists());
}

const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu";

#[test]
fn tensors_without_bytes_are_refused() {
    // Four elements of a storage that is not there, then more than it claims.
    let tensor = |size: &[u8], shape: &[u8]| {
        [b"\x80\x02}X\x01\0\0\0a", TENSOR, size, b"tQK\0", shape, b"K\x01\x85\x89N", b"tRs."]
            .concat()
    };
    let message = refusal(&tensor(b"K\x04", b"K\x04\x85"));
    assert!(message.contains("storage `0` is absent"), "{message}");
    let message = refusal(&tensor(b"K\x04", b"K\x05\x85"));
    assert!(message.contains("reaches beyond its storage"), "{message}");
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let message = refusal(&tensor(huge, &[huge, &b"\x85"[..]].concat()));
    assert!(message.contains("storage `0` is absent"), "{message}");
    let message = refusal(&tensor(b"J\xff\xff\xff\xff", b"K\x04\x85"));
    assert!(message.contains("no size"), "{message}");
}

#[test]
fn shared_containers_do_not_multiply() {
    // Fifty dictionaries, each holding the one before twice: 2^50 ways to nothing, then to a
    // tensor.
    let nest = |inner: &[u8]| {
        let mut pickle = b"\x80\x02".to_vec();
        pickle.extend(inner);
        pickle.extend(b"q\x00");
        for _ in 0..50 {
            pickle.extend(b"}X\x01\0\0\0ah\0sX\x01\0\0\0bh\0sq\0");
        }
        pickle.push(b'.');
        pickle
    };
    assert!(refusal(&nest(b"N")).contains("holds no tensors"));
    let tensor = [TENSOR, b"K\x01tQK\0K\x01\x85K\x01\x85\x89NtR"].concat();
    assert!(refusal(&nest(&tensor)).contains("is refused"));
}

#[test]
fn endless_containers_are_refused() {
    // A dictionary that holds itself and a tensor.
    let mut pickle = b"\x80\x02}q\0X\x01\0\0\0ah\0sX\x01\0\0\0b".to_vec();
    pickle.extend([TENSOR, b"K\x01tQK\0K\x01\x85K\x01\x85\x89NtRs."].concat());
    assert!(refusal(&pickle).contains("too deep"));
}

#[test]
fn views_may_not_repeat_without_end() {
    let file = |rows: &[u8]| {
        let view = [b"K\x01tQK\0", rows, b"\x85K\0\x85\x89NtRs."].concat();
        let pickle = [b"\x80\x02}X\x01\0\0\0a", TENSOR, &view].concat();
        read(archive(&[("a/data.pkl", &pickle), ("a/data/0", &[0, 0, 0x80, 0x3f])]))
    };
    assert_eq!(file(b"K\x03").unwrap().read_f32("a").unwrap(), [1.0; 3]);
    // 2^32 rows of the same number.
    let message = file(b"\x8a\x05\0\0\0\0\x01").unwrap_err().to_string();
    assert!(message.contains("repeat the same elements"), "{message}");
}

#[test]
fn big_endian_files_are_refused() {
    let mut archive = bytes("state.pt");
    let at = archive.windows(6).position(|window| window == b"little").unwrap();
    archive[at..at + 6].copy_from_slice(b"big   ");
    assert!(read(archive).unwrap_err().to_string().contains("big-endian"));
    let mut legacy = bytes("legacy.pt");
    let key = b"little_endianq";
    let at = legacy.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 1;
    assert_eq!(legacy[at], 0x88);
    legacy[at] = 0x89;
    assert!(read(legacy).unwrap_err().to_string().contains("big-endian"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is changed, reading ends, and what is read has the size it says.
    #[test]
    fn changed_files_end_in_a_result(
        file in 0..FILES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut changed = bytes(FILES[file]);
        for (index, byte) in changes {
            let at = index.index(changed.len());
            changed[at] = byte;
        }
        if let Ok(file) = read(changed) {
            for tensor in file.tensors() {
                if let Ok(values) = file.read_f32(&tensor.name) {
                    prop_assert_eq!(values.len(), tensor.elements());
                }
                let _ = file.read_i64(&tensor.name);
            }
        }
    }
}
