//! Writing a data set as files.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::ScenesError;
use crate::dataset::SceneRecord;

/// Writes `dir/images/*.png` and `dir/dataset.json` in Karpathy's schema, with `alt_texts`,
/// `phrases` and `scene` as further keys. `progress` is called with how many of how many are done.
///
/// The folder appears whole or not at all: it is written under another name beside its place and
/// then renamed.
///
/// # Errors
/// [`ScenesError::NotEmpty`] for a folder with something in it, and failures to write.
pub fn export(
    records: &[SceneRecord],
    image_size: u32,
    dir: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), ScenesError> {
    if dir.exists() && fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
        return Err(ScenesError::NotEmpty(dir.to_path_buf()));
    }
    // "." and ".." have no name of their own that another folder could be given.
    if dir.file_name().is_none() {
        return Err(ScenesError::Unnamed(dir.to_path_buf()));
    }
    finecap_files::write_folder(dir, |part| write(records, image_size, part, progress))
}

/// Writes everything into `part`.
fn write(
    records: &[SceneRecord],
    image_size: u32,
    part: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), ScenesError> {
    let images = part.join("images");
    fs::create_dir_all(&images).map_err(failed(&images))?;
    for (done, record) in records.iter().enumerate() {
        let path = images.join(record.file_name());
        let picture = record.scene.render(image_size);
        picture.save(&path).map_err(|source| ScenesError::Image { path, source })?;
        progress(done + 1, records.len());
    }
    let path = part.join("dataset.json");
    fs::write(&path, karpathy(records).to_string()).map_err(failed(&path))
}

/// Turns the system's error about `path` into ours.
fn failed(path: &Path) -> impl FnOnce(io::Error) -> ScenesError {
    let path = path.to_path_buf();
    move |source| ScenesError::Io { path, source }
}

fn karpathy(records: &[SceneRecord]) -> Value {
    let mut next = 0;
    let images: Vec<Value> = records
        .iter()
        .map(|record| {
            let first = next;
            next += record.references.len();
            let sentences: Vec<Value> = record
                .references
                .iter()
                .enumerate()
                .map(|(i, raw)| {
                    let tokens: Vec<&str> = raw.split(' ').collect();
                    json!({ "raw": raw, "tokens": tokens, "imgid": record.id, "sentid": first + i })
                })
                .collect();
            json!({
                "imgid": record.id,
                "filename": record.file_name(),
                "filepath": "",
                "split": record.split,
                "sentids": (first..next).collect::<Vec<_>>(),
                "sentences": sentences,
                "alt_texts": record.alt_texts,
                "phrases": record.phrases,
                "scene": record.scene,
            })
        })
        .collect();
    json!({ "dataset": "scenes", "images": images })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ScenesConfig, generate};

    #[test]
    fn files_hold_what_was_generated() {
        let config = ScenesConfig { train: 6, val: 1, test: 2, ..ScenesConfig::default() };
        let records = generate(&config).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("scenes");
        let mut calls = 0;
        export(&records, 48, &dir, &mut |_, total| {
            calls += 1;
            assert_eq!(total, 9);
        })
        .unwrap();
        assert_eq!(calls, 9);
        for record in &records {
            let read = image::open(dir.join("images").join(record.file_name())).unwrap();
            assert_eq!(read.to_rgb8(), record.scene.render(48));
        }
        let json: Value =
            serde_json::from_str(&fs::read_to_string(dir.join("dataset.json")).unwrap()).unwrap();
        assert_eq!(json["images"][8]["split"], "test");
        assert_eq!(json["images"][3]["sentences"][4]["raw"], records[3].references[4]);
        assert_eq!(json["images"][3]["sentids"][0], 15);

        let again = export(&records, 48, &dir, &mut |_, _| {}).unwrap_err();
        assert!(again.to_string().contains("not empty"), "{again}");
        // What was there is untouched, and nothing else is left behind.
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_folder_is_filled_and_a_failure_leaves_nothing() {
        let config = ScenesConfig { train: 2, val: 0, test: 0, ..ScenesConfig::default() };
        let records = generate(&config).unwrap();
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("empty");
        fs::create_dir(&dir).unwrap();
        export(&records, 48, &dir, &mut |_, _| {}).unwrap();
        assert!(dir.join("dataset.json").exists());

        // A folder in the place of the second picture cannot be overwritten.
        let dir = parent.path().join("failing");
        let block = || {
            let mut entries = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap());
            let part = entries.find(|e| e.file_name().to_string_lossy().starts_with(".failing"));
            fs::create_dir_all(part.unwrap().path().join("images/000001.png")).unwrap();
        };
        let result = export(&records, 48, &dir, &mut |_, _| block());
        assert!(result.unwrap_err().to_string().contains("000001.png"));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);

        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(export(&records, 48, &file, &mut |_, _| {}).is_err());
        let nameless = parent.path().join("missing/..");
        let result = export(&records, 48, &nameless, &mut |_, _| {});
        assert!(matches!(result, Err(ScenesError::Unnamed(_))));
    }
}
