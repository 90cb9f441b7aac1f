//! A model split over several files, with an index in JSON.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde_json::Value as Json;

use crate::error::Fault;
use crate::{Value, WeightFile, WeightsError};

/// Names under which `transformers` and OpenCLIP keep a model in a folder, best first.
pub const WEIGHT_FILES: [&str; 7] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
];
/// What PEFT writes instead of a model.
const ADAPTER: &str = "adapter_config.json";
/// An index lists a line for each tensor; far more than any model has.
const MAX_INDEX: usize = 16 << 20;

/// Opens the model in a folder.
pub(crate) fn open_folder(folder: &Path) -> Result<WeightFile, WeightsError> {
    match WEIGHT_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        Some(path) => WeightFile::open(&path),
        None if folder.join(ADAPTER).is_file() => {
            let problem = "holds a PEFT adapter and no model: load it in Python onto its base \
                           model, merge it with `merge_and_unload()`, and save that";
            Err(Fault::Format(problem.into()).in_file(folder))
        }
        None => {
            let problem = format!("is a folder without any of {}", WEIGHT_FILES.join(", "));
            Err(Fault::Format(problem).in_file(folder))
        }
    }
}

/// Opens the files that an index lists. Each tensor must be in the file the index says.
pub(crate) fn open_index(path: &Path, bytes: &[u8]) -> Result<WeightFile, WeightsError> {
    let at_fault = |problem: String| Fault::Format(problem).in_file(path);
    if bytes.len() > MAX_INDEX {
        return Err(at_fault("is JSON and too long for an index of weight files".into()));
    }
    let json: Json = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|e| at_fault(format!("looks like JSON and is none ({e})")))?;
    let map = json.get("weight_map").and_then(Json::as_object);
    let map = map.ok_or_else(|| at_fault("is JSON without a `weight_map`".into()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().filter(|name| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
                && !name.ends_with(".json")
        });
        let name = name.ok_or_else(|| {
            at_fault(format!("names {file} where a weight file beside it is meant"))
        })?;
        names.insert(name);
    }
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let file = WeightFile::open_single(&folder.join(name))?;
        for tensor in file.tensors() {
            if map.get(&tensor.name).and_then(Json::as_str) != Some(name) {
                let problem = format!("does not say that `{}` is in {name}", tensor.name);
                return Err(Fault::Refused(problem).in_file(path));
            }
        }
        files.push(file);
    }
    let held: usize = files.iter().map(|file| file.tensors().len()).sum();
    if held != map.len() {
        let absent = map.keys().find(|name| files.iter().all(|file| file.get(name).is_none()));
        let problem = format!("lists `{}`, which none of its files has", absent.map_or("?", |n| n));
        return Err(Fault::Damaged(problem).in_file(path));
    }
    WeightFile::of_shards(path, files, Value::Dict(vec![]))
}
