//! Reading captions and references from the files that people have.
//!
//! | format | looks like |
//! | --- | --- |
//! | COCO results | `[{"image_id": 7, "caption": "..."}]` |
//! | clipscore | `{"7.jpg": "..."}` or `{"7.jpg": ["...", "..."]}` |
//! | COCO annotations | `{"images": [{"id": 7, "file_name": "7.jpg"}], "annotations": [{"image_id": 7, "caption": "..."}]}` |
//! | Karpathy | `{"images": [{"filename": "7.jpg", "cocoid": 7, "sentences": [{"raw": "..."}]}]}` |
//! | JSON lines | one object of the first kind in each line |
//! | `finecap caption` | picture, tab, caption |
//!
//! Which one a file is, is seen from its content. An image may be known by several names, say a
//! number and a file name; [`References::find`] takes any of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Why a file of captions can't be used: one sentence that names the file and the key.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct CaptionsError {
    file: String,
    what: String,
}

impl CaptionsError {
    pub(crate) fn new(file: &str, what: String) -> Self {
        Self { file: file.into(), what }
    }
}

/// An image and what is said about it, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    /// The first name is the one that is shown.
    names: Vec<String>,
    captions: Vec<String>,
    /// Karpathy's part of the data set.
    split: Option<String>,
}

impl Entry {
    fn new(names: Vec<String>, captions: Vec<String>) -> Self {
        Self { names: with_file_names(names), captions, split: None }
    }
}

/// One caption for each image.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// Names of the images, as the file gives them, without repetition.
    pub images: Vec<String>,
    /// The caption of each image; may be empty text.
    pub captions: Vec<String>,
    /// How they were decoded, where the file says so, as that of `finecap caption --output` does.
    pub decoding: Option<Value>,
}

impl Candidates {
    /// Reads a file of any of the formats.
    ///
    /// # Errors
    /// A file that can't be read or is of no known format, an image without or with several
    /// captions.
    pub fn read(path: &Path) -> Result<Self, CaptionsError> {
        Self::parse(&text(path)?, &path.display().to_string())
    }

    /// Reads the text of such a file, which errors call `file`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(text: &str, file: &str) -> Result<Self, CaptionsError> {
        let mut found = Self { images: Vec::new(), captions: Vec::new(), decoding: decoding(text) };
        for mut entry in entries(text, file)? {
            let name = entry.names.swap_remove(0);
            match <[String; 1]>::try_from(entry.captions) {
                Ok([caption]) => {
                    found.images.push(name);
                    found.captions.push(caption);
                }
                Err(captions) => {
                    let n = captions.len();
                    let what = format!("image `{name}` has {n} captions: give exactly one");
                    return Err(CaptionsError { file: file.into(), what });
                }
            }
        }
        Ok(found)
    }
}

/// The settings that the first item of a list, or the first line, has beside its caption.
fn decoding(text: &str) -> Option<Value> {
    let text = text.trim_start();
    let items = text.strip_prefix('[').unwrap_or(text);
    let first = serde_json::Deserializer::from_str(items).into_iter::<Value>().next()?.ok()?;
    first.get("decoding").cloned()
}

/// Reference captions of images.
#[derive(Debug, Clone)]
pub struct References {
    images: Vec<Entry>,
    /// Any name to a place; `None` for a name that several images have.
    places: HashMap<String, Option<usize>>,
}

impl References {
    /// Reads a file of any of the formats; of Karpathy's, only the images of `split`, if one is
    /// given.
    ///
    /// # Errors
    /// A file that can't be read or is of no known format, an image without references, a split
    /// that no image has.
    pub fn read(path: &Path, split: Option<&str>) -> Result<Self, CaptionsError> {
        Self::parse(&text(path)?, split, &path.display().to_string())
    }

    /// Reads the text of such a file, which errors call `file`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn parse(text: &str, split: Option<&str>, file: &str) -> Result<Self, CaptionsError> {
        let mut images = entries(text, file)?;
        if let Some(split) = split {
            images.retain(|entry| entry.split.as_deref() == Some(split));
            if images.is_empty() {
                let what = format!("no image has the split `{split}`");
                return Err(CaptionsError { file: file.into(), what });
            }
        }
        let mut places: HashMap<String, Option<usize>> = HashMap::new();
        for (place, entry) in images.iter().enumerate() {
            if entry.captions.is_empty() {
                let what = format!("image `{}` has no references", entry.names[0]);
                return Err(CaptionsError { file: file.into(), what });
            }
            for name in &entry.names {
                let known = places.entry(name.clone()).or_insert(Some(place));
                if *known != Some(place) {
                    *known = None;
                }
            }
        }
        Ok(Self { images, places })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there are none, which no file that was read has.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The place of an image by any of its names, or by the file name of a path.
    pub fn find(&self, name: &str) -> Option<usize> {
        let short = names_of_file(name);
        let mut names = std::iter::once(name).chain(short.iter().map(String::as_str));
        names.find_map(|name| self.places.get(name).copied().flatten())
    }

    /// The name of an image that is shown.
    pub fn name(&self, place: usize) -> &str {
        &self.images[place].names[0]
    }

    /// All names of an image.
    pub fn names(&self, place: usize) -> &[String] {
        &self.images[place].names
    }

    /// The references of an image, at least one.
    pub fn captions(&self, place: usize) -> &[String] {
        &self.images[place].captions
    }
}

fn text(path: &Path) -> Result<String, CaptionsError> {
    fs::read_to_string(path).map_err(|error| CaptionsError {
        file: path.display().to_string(),
        what: format!("can't be read: {error}"),
    })
}

/// All images of a file of any format, each once.
fn entries(text: &str, file: &str) -> Result<Vec<Entry>, CaptionsError> {
    let error = |what: String| CaptionsError { file: file.into(), what };
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(error("is empty".into()));
    }
    let pairs = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(list)) => results(&list),
        Ok(Value::Object(object)) => match (object.get("images"), object.get("annotations")) {
            (Some(Value::Array(images)), Some(Value::Array(annotations))) => {
                annotated(images, annotations)
            }
            (None, Some(Value::Array(annotations))) => annotated(&[], annotations),
            (Some(Value::Array(images)), None) => karpathy(images),
            _ if object.contains_key("caption") => results(&[Value::Object(object)]),
            _ => keyed(&object),
        },
        Ok(_) => Err("must be a JSON object or list".into()),
        Err(whole) => lines(text).unwrap_or_else(|| Err(format!("is not JSON: {whole}"))),
    };
    let entries = joined(pairs.map_err(error)?);
    match entries.is_empty() {
        true => Err(error("holds no captions".into())),
        false => Ok(entries),
    }
}

/// Entries that share their first name become one.
fn joined(entries: Vec<Entry>) -> Vec<Entry> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        match places.get(&entry.names[0]) {
            Some(&place) => all[place].captions.extend(entry.captions),
            None => {
                places.insert(entry.names[0].clone(), all.len());
                all.push(entry);
            }
        }
    }
    all
}

/// `[{"image_id": ..., "caption": ...}]`
fn results(list: &[Value]) -> Result<Vec<Entry>, String> {
    list.iter().enumerate().map(|(i, value)| result(value, &format!("item {i}"))).collect()
}

fn result(value: &Value, place: &str) -> Result<Entry, String> {
    let names = ["image_id", "image", "filename", "file_name", "id"];
    let Some(name) = names.iter().find_map(|key| value.get(key)) else {
        return Err(format!("{place}: `image_id` is missing"));
    };
    let name =
        name_of(name).ok_or_else(|| format!("{place}: `image_id` must be text or a number"))?;
    let captions = ["caption", "captions", "references"].iter().find_map(|key| value.get(key));
    let captions = captions.ok_or_else(|| format!("{place} (image `{name}`): no `caption`"))?;
    let captions = captions_of(captions, &name)?;
    Ok(Entry::new(vec![name], captions))
}

/// `{"image": "caption"}` or `{"image": ["caption", ...]}`
fn keyed(object: &serde_json::Map<String, Value>) -> Result<Vec<Entry>, String> {
    let entry = |(name, value): (&String, &Value)| {
        Ok(Entry::new(vec![name.clone()], captions_of(value, name)?))
    };
    object.iter().map(entry).collect()
}

/// COCO's annotation files; the list of images may be missing.
fn annotated(images: &[Value], annotations: &[Value]) -> Result<Vec<Entry>, String> {
    let mut files: HashMap<String, String> = HashMap::new();
    for (i, image) in images.iter().enumerate() {
        let id = image.get("id").and_then(name_of);
        let id = id.ok_or_else(|| format!("images[{i}]: `id` must be text or a number"))?;
        if let Some(file) = image.get("file_name").and_then(Value::as_str) {
            files.insert(id, file.to_string());
        }
    }
    let entry = |(i, annotation): (usize, &Value)| {
        let mut entry = result(annotation, &format!("annotations[{i}]"))?;
        if let Some(file) = files.get(&entry.names[0]) {
            entry.names.push(file.clone());
            entry.names = with_file_names(entry.names);
        }
        Ok(entry)
    };
    annotations.iter().enumerate().map(entry).collect()
}

/// Karpathy's `dataset_*.json`.
fn karpathy(images: &[Value]) -> Result<Vec<Entry>, String> {
    let entry = |(i, image): (usize, &Value)| {
        let file = image.get("filename").and_then(Value::as_str);
        let file = file.ok_or_else(|| format!("images[{i}]: `filename` must be text"))?;
        let sentences = image.get("sentences").and_then(Value::as_array);
        let sentences =
            sentences.ok_or_else(|| format!("images[{i}] (`{file}`): no list of `sentences`"))?;
        let raw = |sentence: &Value| match sentence.get("raw").and_then(Value::as_str) {
            Some(raw) => Ok(raw.to_string()),
            None => Err(format!("images[{i}] (`{file}`): a sentence without `raw` text")),
        };
        let mut names = vec![file.to_string()];
        names.extend(image.get("cocoid").and_then(name_of));
        let captions = sentences.iter().map(raw).collect::<Result<_, _>>()?;
        let split = image.get("split").and_then(Value::as_str).map(str::to_string);
        Ok(Entry { split, ..Entry::new(names, captions) })
    };
    images.iter().enumerate().map(entry).collect()
}

/// JSON lines, or lines of a picture, a tab and a caption; `None` if the first line is neither.
fn lines(text: &str) -> Option<Result<Vec<Entry>, String>> {
    let first = text.lines().next()?;
    let json = serde_json::from_str::<Value>(first).is_ok_and(|value| value.is_object());
    if !json && !first.contains('\t') {
        return None;
    }
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(i, line): (usize, &str)| {
        let place = format!("line {}", i + 1);
        if json {
            let value =
                serde_json::from_str(line).map_err(|e| format!("{place}: not JSON: {e}"))?;
            return result(&value, &place);
        }
        let (name, caption) =
            line.split_once('\t').ok_or_else(|| format!("{place}: no tab after the picture"))?;
        Ok(Entry::new(vec![name.to_string()], vec![caption.to_string()]))
    };
    Some(numbered.map(entry).collect())
}

fn captions_of(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("image `{name}`: captions must be text or a list of texts");
    let text = |value: &Value| value.as_str().map(str::to_string).ok_or_else(wrong);
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn name_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The names, and what their file names are without folder and ending.
fn with_file_names(mut names: Vec<String>) -> Vec<String> {
    for name in names.clone() {
        for short in names_of_file(&name) {
            if !names.contains(&short) {
                names.push(short);
            }
        }
    }
    names
}

/// The file name of a path, with and without its ending.
pub(crate) fn names_of_file(name: &str) -> Vec<String> {
    let path = Path::new(name);
    let parts = [path.file_name(), path.file_stem()];
    parts.into_iter().flatten().map(|part| part.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(text: &str) -> References {
        References::parse(text, None, "refs").unwrap()
    }

    #[test]
    fn every_format_says_the_same() {
        let formats = [
            r#"[{"image_id": 7, "caption": "a dog"}, {"image_id": 8, "caption": "a cat"}]"#,
            r#"{"7": "a dog", "8": ["a cat"]}"#,
            "{\"image_id\": 7, \"caption\": \"a dog\"}\n\n{\"image\": \"8\", \"captions\": [\"a cat\"]}",
            "x/7.jpg\ta dog\nx/8.jpg\ta cat\n",
        ];
        for text in formats {
            let found = Candidates::parse(text, "file").unwrap();
            assert_eq!(found.captions, ["a dog", "a cat"], "{text}");
            let as_references = references(text);
            for (name, caption) in [("7", "a dog"), ("8", "a cat")] {
                let place = as_references.find(name).unwrap();
                assert_eq!(as_references.captions(place), [caption], "{text}");
            }
        }
    }

    #[test]
    fn images_go_by_any_of_their_names() {
        let coco = r#"{"images": [{"id": 7, "file_name": "COCO_7.jpg"}], "annotations": [
            {"image_id": 7, "id": 1, "caption": "a dog"}, {"image_id": 7, "caption": "one dog"}]}"#;
        let karpathy = r#"{"images": [{"filename": "COCO_7.jpg", "cocoid": 7, "split": "test",
            "sentences": [{"raw": "a dog"}, {"raw": "one dog"}]}]}"#;
        for text in [coco, karpathy] {
            let found = references(text);
            assert_eq!(found.len(), 1);
            for name in ["7", "COCO_7.jpg", "COCO_7", "somewhere/COCO_7.jpg"] {
                let place = found.find(name).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(found.captions(place), ["a dog", "one dog"]);
            }
            assert_eq!(found.find("8"), None);
        }
    }

    #[test]
    fn one_split_may_be_read() {
        let text = r#"{"images": [
            {"filename": "1.jpg", "split": "train", "sentences": [{"raw": "a"}]},
            {"filename": "2.jpg", "split": "test", "sentences": [{"raw": "b"}]}]}"#;
        let found = References::parse(text, Some("test"), "k.json").unwrap();
        assert_eq!((found.len(), found.name(0)), (1, "2.jpg"));
        let error = References::parse(text, Some("val"), "k.json").unwrap_err().to_string();
        assert!(error.contains("`val`"), "{error}");
    }

    #[test]
    fn a_name_of_two_images_finds_neither() {
        let found = references(r#"{"a/1.jpg": "x", "b/1.jpg": "y"}"#);
        assert_eq!(found.find("1.jpg"), None);
        assert_eq!(found.find("a/1.jpg"), Some(0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("", "is empty"),
            ("  [] ", "holds no captions"),
            ("{}", "holds no captions"),
            ("7", "must be a JSON object or list"),
            ("[1, 2", "is not JSON"),
            (r#"[{"caption": "x"}]"#, "item 0: `image_id` is missing"),
            (r#"[{"image_id": [], "caption": "x"}]"#, "must be text or a number"),
            (r#"[{"image_id": 3}]"#, "image `3`"),
            (r#"{"3": 4}"#, "image `3`: captions must be text"),
            (r#"{"3": ["x", "y"]}"#, "image `3` has 2 captions"),
            (r#"[{"image_id": 3, "caption": "x"}, {"image_id": 3, "caption": "y"}]"#, "`3` has 2"),
            (r#"{"images": [{"sentences": []}]}"#, "images[0]: `filename`"),
            (r#"{"images": [{"filename": "a"}]}"#, "`sentences`"),
            ("{\"image_id\": 1, \"caption\": \"x\"}\noops", "line 2: not JSON"),
            ("a.jpg\tx\nb.jpg y", "line 2: no tab"),
        ];
        for (text, expected) in cases {
            let error = Candidates::parse(text, "c.json").unwrap_err().to_string();
            assert!(error.starts_with("c.json: ") && error.contains(expected), "{text}: {error}");
        }
        let error = References::parse(r#"{"3": []}"#, None, "r.json").unwrap_err().to_string();
        assert!(error.contains("image `3` has no references"), "{error}");
        let error = Candidates::read(Path::new("no/such.json")).unwrap_err().to_string();
        assert!(error.contains("no/such.json") && error.contains("can't be read"), "{error}");
    }
}
