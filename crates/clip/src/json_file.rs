//! JSON files of a model's folder.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ClipError;

/// The object that a file holds; a byte order mark before it is read over.
///
/// # Errors
/// [`ClipError::Io`] for a file that can't be read, [`ClipError::File`] for one that holds no object.
pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>, ClipError> {
    let bytes = fs::read(path).map_err(|source| ClipError::read(path, source))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let wrong = |problem: String| ClipError::File { path: path.to_path_buf(), problem };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(wrong("holds no JSON object: get the file anew".into())),
        Err(error) => Err(wrong(format!("is not JSON ({error}): get the file anew"))),
    }
}

/// The fields of an object; what is wrong with one is said with its name, `at` in front.
pub(crate) fn fields<T: DeserializeOwned>(
    object: &Map<String, Value>,
    at: &str,
) -> Result<T, String> {
    match serde_json::from_value(Value::Object(object.clone())) {
        Ok(fields) => Ok(fields),
        Err(whole) => {
            // Every field has a default, and so each can be tried alone.
            let alone = object.iter().find_map(|(key, value)| {
                let one = Map::from_iter([(key.clone(), value.clone())]);
                let error = serde_json::from_value::<T>(Value::Object(one)).err()?;
                Some(format!("`{at}{key}`: {error}"))
            });
            Err(alone.unwrap_or_else(|| whole.to_string()))
        }
    }
}

/// The first place in which two objects differ, with both values. Numbers that differ by rounding
/// are equal.
pub(crate) fn difference(a: &Value, b: &Value, at: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.filter_map(|key| {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                difference(
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    &at,
                )
            })
            .next()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.filter_map(|(i, (a, b))| difference(a, b, &format!("{at}[{i}]"))).next()
        }
        (Value::Number(one), Value::Number(other)) => {
            let near = match (one.as_f64(), other.as_f64()) {
                (Some(one), Some(other)) => {
                    (one - other).abs() <= 1e-6 * one.abs().max(other.abs())
                }
                _ => false,
            };
            (!near).then(|| format!("`{at}` is {a} in one and {b} in the other"))
        }
        _ => (a != b).then(|| format!("`{at}` is {a} in one and {b} in the other")),
    }
}
