//! `finecap inspect`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use finecap::clip::{Layout, guess_clip, released_name};
use finecap::weights::{DType, Format, TensorInfo, Value, WeightFile};
use serde_json::{Map, Value as Json, json};

/// Entries of a container that are listed; of more, only the number is shown.
const FEW: usize = 16;
/// Longest line of a value.
const WIDTH: usize = 80;

#[derive(Args)]
pub struct Inspect {
    /// safetensors, what PyTorch or Lightning saved, a TorchScript archive, or a folder with one.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON, with all plain values in full.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> Result<()> {
        let file = WeightFile::open(&self.file)?;
        let text = match self.json {
            true => serde_json::to_string_pretty(&summary(&file))? + "\n",
            false => page(&file),
        };
        // Whoever reads the first lines only has not done anything wrong.
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn summary(file: &WeightFile) -> Json {
    let tensor =
        |t: &TensorInfo| json!({"name": t.name, "type": t.dtype.to_string(), "shape": t.shape});
    json!({
        "file": file.path(),
        "format": file.format().to_string(),
        "model": model(file),
        "elements": total(file, TensorInfo::elements),
        "bytes": total(file, TensorInfo::bytes),
        "tensors": file.tensors().iter().map(tensor).collect::<Vec<_>>(),
        "values": to_json(file.values()),
        "values_in_tensors": Json::Object(
            hidden(file).into_iter().map(|(name, value)| (name, to_json(&value))).collect(),
        ),
    })
}

fn page(file: &WeightFile) -> String {
    let mut types = BTreeMap::new();
    for tensor in file.tensors() {
        *types.entry(tensor.dtype.to_string()).or_insert(0) += tensor.elements();
    }
    let types: Vec<String> =
        types.iter().map(|(name, count)| format!("{} {name}", grouped(*count))).collect();
    let mut page = String::new();
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(page, "{name:8}  {what}");
    };
    line("file", &file.path().display().to_string());
    line("format", &file.format().to_string());
    line("model", &model(file).unwrap_or_else(|| "none that finecap knows".into()));
    line("tensors", &format!("{} ({})", file.tensors().len(), types.join(", ")));
    line("bytes", &grouped(total(file, TensorInfo::bytes)));
    let values = file.values();
    // Beside its tensors a TorchScript module has little but a flag for training.
    if !values.entries().is_empty() && file.format() != Format::TorchScript {
        let _ = writeln!(page, "\nvalues");
        list(&mut page, values, 1);
    }
    for (name, value) in hidden(file) {
        let _ = writeln!(page, "\nvalues in the tensor {name}");
        list(&mut page, &value, 1);
    }
    let names = file.tensors().iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
    let _ = writeln!(page, "\ntensors");
    for TensorInfo { name, dtype, shape } in file.tensors() {
        let _ = writeln!(page, "  {name:names$}  {dtype:8}  {shape:?}");
    }
    page
}

/// Plain values that are pickled into tensors of bytes.
fn hidden(file: &WeightFile) -> Vec<(String, Value)> {
    let bytes = file.tensors().iter().filter(|t| t.dtype == DType::U8 && t.shape.len() == 1);
    bytes.filter_map(|t| Some((t.name.clone(), file.read_value(&t.name).ok()?))).collect()
}

fn total(file: &WeightFile, of: fn(&TensorInfo) -> usize) -> usize {
    file.tensors().iter().map(of).sum()
}

/// The model that the tensors' names and shapes speak of.
fn model(file: &WeightFile) -> Option<String> {
    let find = |end: &str| {
        file.tensors().iter().find(|tensor| match tensor.name.strip_suffix(end) {
            Some(before) => before.is_empty() || before.ends_with('.'),
            None => false,
        })
    };
    let captioner = |whose: &str, words: &TensorInfo| match words.shape[..] {
        [words, width] => Some(format!("captioner, {whose}: {words} words, {width} wide")),
        _ => None,
    };
    if let Some(words) = find("tgt_embed.0.lut.weight") {
        return captioner("with the names of the paper's code", words);
    }
    if find("encoder.layers.0.self_attn.q.weight").is_some()
        && let Some(words) = find("decoder.embedding.weight")
    {
        return captioner("of finecap", words);
    }
    let unknown = "CLIP of unpublished sizes";
    let Ok(guess) = guess_clip(file.tensors()) else {
        // Some sizes are not in the tensors, where no released model has them.
        let is_clip = find("token_embedding.weight").is_some() && find("logit_scale").is_some();
        let alone = [
            ("text_model.embeddings.token_embedding.weight", "a CLIP's text tower alone"),
            ("vision_model.embeddings.class_embedding", "a CLIP's image tower alone"),
        ];
        let alone =
            || alone.into_iter().find(|(name, _)| find(name).is_some()).map(|(_, what)| what);
        return if is_clip { Some(unknown.into()) } else { alone().map(String::from) };
    };
    let released = released_name(&guess.config).map(|name| format!("CLIP {name}"));
    let name = released.unwrap_or_else(|| unknown.into());
    let head =
        if find("grammar_score_head.0.weight").is_some() { " with a grammar head" } else { "" };
    let prefix = match guess.prefix.as_str() {
        "" => String::new(),
        prefix => format!(", below `{prefix}`"),
    };
    let whose = match guess.layout {
        Layout::HuggingFace => "Hugging Face",
        Layout::OpenClip => "OpenAI",
    };
    Some(format!("{name}{head}, with {whose}'s names{prefix}"))
}

/// Lists a container's entries, and those of small containers in it.
fn list(page: &mut String, value: &Value, depth: usize) {
    for (key, value) in value.entries() {
        let key = key.as_str().map_or_else(|| brief(key), str::to_string);
        let _ = writeln!(page, "{:depth$}{key}: {}", "", brief(value), depth = 2 * depth);
        if value.entries().len() <= FEW && depth < 3 {
            list(page, value, depth + 1);
        }
    }
}

/// One line on a value.
fn brief(value: &Value) -> String {
    let text = match value {
        Value::Dict(pairs) => format!("{} entries", pairs.len()),
        Value::Object { class, fields } => format!("{class}, {} attributes", fields.len()),
        Value::List(items) if items.len() > FEW => format!("{} elements", items.len()),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        value => to_json(value).to_string(),
    };
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A value as JSON. What JSON has no words for becomes text.
fn to_json(value: &Value) -> Json {
    match value {
        Value::None => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Str(text) => json!(&**text),
        Value::Bytes(bytes) => json!(format!("{} bytes", bytes.len())),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Dict(pairs) | Value::Object { fields: pairs, .. } => {
            let key = |key: &Value| match key {
                Value::Str(text) => text.to_string(),
                key => to_json(key).to_string(),
            };
            Json::Object(pairs.iter().map(|(k, v)| (key(k), to_json(v))).collect::<Map<_, _>>())
        }
        Value::Tensor { dtype, shape } => json!(format!("{dtype} tensor {shape:?}")),
        Value::Opaque(class) => json!(format!("<{class}>")),
    }
}

/// A count with spaces between thousands.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(151277313), "151 277 313");
    }
}
