//! Folders that are written whole or not at all, and the checkpoints made of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Writes a folder under a temporary name, flushes it to disk and renames it to `target`,
/// replacing what was there. A kill at any moment leaves the old folder or the new one.
///
/// # Errors
/// Those of `write`, and [`TrainError::Io`].
pub fn write_folder(
    target: &Path,
    write: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let (new, old) = (parent.join(format!(".{name}.new")), parent.join(format!(".{name}.old")));
    for leftover in [&new, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(TrainError::io("remove", leftover))?;
        }
    }
    fs::create_dir_all(&new).map_err(TrainError::io("create", &new))?;
    write(&new).inspect_err(|_| {
        // The error of `write` is the one to report; a leftover folder is removed next time.
        let _ = fs::remove_dir_all(&new);
    })?;
    sync_folder(&new)?;
    if target.exists() {
        fs::rename(target, &old).map_err(TrainError::io("rename", target))?;
    }
    fs::rename(&new, target).map_err(TrainError::io("rename", &new))?;
    sync_folder_entry(parent)?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(TrainError::io("remove", &old))?;
    }
    Ok(())
}

/// Flushes every file of a folder, and the folder itself.
fn sync_folder(dir: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(dir).map_err(TrainError::io("read", dir))? {
        let path = entry.map_err(TrainError::io("read", dir))?.path();
        if path.is_dir() {
            sync_folder(&path)?;
        } else {
            let file = File::open(&path).map_err(TrainError::io("open", &path))?;
            file.sync_all().map_err(TrainError::io("flush", &path))?;
        }
    }
    sync_folder_entry(dir)
}

#[cfg(unix)]
fn sync_folder_entry(dir: &Path) -> Result<(), TrainError> {
    let handle = File::open(dir).map_err(TrainError::io("open", dir))?;
    handle.sync_all().map_err(TrainError::io("flush", dir))
}

/// Other systems give no handle to flush a folder with.
#[cfg(not(unix))]
fn sync_folder_entry(_: &Path) -> Result<(), TrainError> {
    Ok(())
}

/// What has to be known, besides weights and optimizer state, to go on exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Steps taken.
    pub step: usize,
    /// Best validation score so far and the step it was reached at.
    pub best: Option<(f64, usize)>,
    /// Fingerprint of the training data.
    pub data: String,
}

/// The checkpoints of one phase.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn folder(&self, step: usize) -> PathBuf {
        self.dir.join(format!("step-{step:07}"))
    }

    /// Steps that have a checkpoint, oldest first.
    fn steps(&self) -> Result<Vec<usize>, TrainError> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(TrainError::io("read", &self.dir))? {
            let name = entry.map_err(TrainError::io("read", &self.dir))?.file_name();
            if let Some(step) = name.to_str().and_then(|n| n.strip_prefix("step-")) {
                steps.extend(step.parse::<usize>().ok());
            }
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// Saves a checkpoint and removes all but the newest `keep` and the best.
    pub(crate) fn save<M: Module>(
        &self,
        state: &TrainState,
        model: &M,
        optimizer: &ModuleOptimizer,
        keep: usize,
    ) -> Result<(), TrainError> {
        fs::create_dir_all(&self.dir).map_err(TrainError::io("create", &self.dir))?;
        write_folder(&self.folder(state.step), |dir| {
            let path = dir.join("model.bpk");
            let record = model.clone().into_record();
            record.save(&path).map_err(|e| TrainError::file(&path, e.to_string()))?;
            let path = dir.join("optimizer.bpk");
            optimizer.save(&path).map_err(|e| TrainError::file(&path, e.to_string()))?;
            write_json(&dir.join("state.json"), state)
        })?;
        let steps = self.steps()?;
        let old = &steps[..steps.len().saturating_sub(keep)];
        for &step in old.iter().filter(|&&step| state.best.is_none_or(|(_, best)| best != step)) {
            let folder = self.folder(step);
            fs::remove_dir_all(&folder).map_err(TrainError::io("remove", &folder))?;
        }
        Ok(())
    }

    /// State of the newest checkpoint.
    pub(crate) fn newest(&self) -> Result<Option<TrainState>, TrainError> {
        match self.steps()?.last() {
            Some(&step) => read_json(&self.folder(step).join("state.json")).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn load_model<M: Module>(&self, step: usize, model: M) -> Result<M, TrainError> {
        let path = self.folder(step).join("model.bpk");
        model
            .try_load_file(&path)
            .map_err(|e| TrainError::file(&path, format!("does not fit the model: {e}")))
    }

    pub(crate) fn load_optimizer(
        &self,
        step: usize,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainError> {
        let path = self.folder(step).join("optimizer.bpk");
        optimizer.load(&path).map_err(|e| TrainError::file(&path, e.to_string()))
    }
}

/// Writes a value as indented JSON, whole or not at all.
///
/// # Errors
/// [`TrainError::Io`] where writing fails.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TrainError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|e| TrainError::file(path, e.to_string()))?;
    write_file(path, &(text + "\n"))
}

/// Writes a text file under a temporary name and renames it.
///
/// # Errors
/// [`TrainError::Io`] where writing fails.
pub fn write_file(path: &Path, text: &str) -> Result<(), TrainError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let new = path.with_file_name(format!(".{name}.new"));
    fs::write(&new, text).map_err(TrainError::io("write", path))?;
    fs::rename(&new, path).map_err(TrainError::io("write", path))
}

/// Reads a JSON value.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|e| TrainError::file(path, format!("is not what finecap wrote there: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_folder() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("model");
        let write = |text: &'static str| {
            move |dir: &Path| {
                let path = dir.join("a.txt");
                fs::write(&path, text).map_err(TrainError::io("write", &path))
            }
        };
        write_folder(&target, write("old")).unwrap();
        let failed = write_folder(&target, |dir| {
            write("half")(dir)?;
            Err(TrainError::file(dir, "stop"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(target.join("a.txt")).unwrap(), "old");
        write_folder(&target, write("new")).unwrap();
        assert_eq!(fs::read_to_string(target.join("a.txt")).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
