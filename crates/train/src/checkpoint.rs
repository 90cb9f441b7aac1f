//! Checkpoints: folders that are written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use finecap_files::{write_folder, write_json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;

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

    /// Saves a checkpoint and removes all but the newest `keep` and the best. Later ones were passed over
    /// when the phase went on, because they can't be read, and are removed as well.
    pub(crate) fn save<M: Module>(
        &self,
        state: &TrainState,
        model: &M,
        optimizer: &ModuleOptimizer,
        keep: usize,
    ) -> Result<(), TrainError> {
        fs::create_dir_all(&self.dir).map_err(TrainError::io("create", &self.dir))?;
        write_folder(&self.folder(state.step), |dir| -> Result<(), TrainError> {
            let path = dir.join("model.bpk");
            let record = model.clone().into_record();
            record.save(&path).map_err(|e| self.unwritten(state.step, &path, &e.to_string()))?;
            let path = dir.join("optimizer.bpk");
            optimizer.save(&path).map_err(|e| self.unwritten(state.step, &path, &e.to_string()))?;
            let hash = |name: &str| Ok((name.to_string(), file_hash(&dir.join(name))?));
            let files = ["model.bpk", "optimizer.bpk"].map(hash);
            let files = files.into_iter().collect::<Result<_, TrainError>>()?;
            Ok(write_json(&dir.join("state.json"), &Saved { state: state.clone(), files })?)
        })?;
        let (steps, damaged): (Vec<usize>, Vec<usize>) =
            self.steps()?.into_iter().partition(|&step| step <= state.step);
        let old = &steps[..steps.len().saturating_sub(keep)];
        let old = old.iter().filter(|&&step| state.best.is_none_or(|(_, best)| best != step));
        for &step in old.chain(&damaged) {
            let folder = self.folder(step);
            fs::remove_dir_all(&folder).map_err(TrainError::io("remove", &folder))?;
        }
        Ok(())
    }

    /// The error of a file that can't be written, by its final name. Burn repeats the temporary one.
    fn unwritten(&self, step: usize, path: &Path, error: &str) -> TrainError {
        let reason = error.rsplit("': ").next().unwrap_or(error);
        let name = path.file_name().unwrap_or_default();
        let problem =
            format!("could not be written: {reason}; the checkpoints before it are whole");
        TrainError::file(&self.folder(step).join(name), problem)
    }

    /// States of the checkpoints, newest first. What is no checkpoint any more is not among them, but
    /// where nothing else is there, it is an error.
    pub(crate) fn states(&self) -> Result<Vec<TrainState>, TrainError> {
        let mut states = Vec::new();
        let mut damaged = None;
        for step in self.steps()?.into_iter().rev() {
            match read_json::<Saved>(&self.folder(step).join("state.json")) {
                Ok(saved) => states.push(saved.state),
                Err(error) => {
                    damaged.get_or_insert(error);
                }
            }
        }
        match damaged {
            Some(error) if states.is_empty() => Err(error),
            _ => Ok(states),
        }
    }

    /// Weights and optimizer state of a checkpoint, if they are what was saved.
    ///
    /// # Errors
    /// A file that is missing, has changed, or does not fit.
    pub(crate) fn load<M: Module>(
        &self,
        step: usize,
        model: M,
        optimizer: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let folder = self.folder(step);
        let saved: Saved = read_json(&folder.join("state.json"))?;
        for (name, hash) in &saved.files {
            let path = folder.join(name);
            if file_hash(&path)? != *hash {
                return Err(TrainError::file(&path, "is damaged: it is not what was saved"));
            }
        }
        let path = folder.join("optimizer.bpk");
        let optimizer =
            optimizer.load(&path).map_err(|e| TrainError::file(&path, e.to_string()))?;
        Ok((self.load_model(step, model)?, optimizer))
    }

    pub(crate) fn load_model<M: Module>(&self, step: usize, model: M) -> Result<M, TrainError> {
        let path = self.folder(step).join("model.bpk");
        model
            .try_load_file(&path)
            .map_err(|e| TrainError::file(&path, format!("does not fit the model: {e}")))
    }
}

/// What `state.json` holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(flatten)]
    state: TrainState,
    /// SHA-256 of the files beside it.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

fn file_hash(path: &Path) -> Result<String, TrainError> {
    let mut hasher = Sha256::new();
    let mut file = fs::File::open(path).map_err(TrainError::io("read", path))?;
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(TrainError::io("read", path))? {
            0 => break,
            n => hasher.update(&block[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a JSON value.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|e| TrainError::file(path, format!("is not what finecap wrote there: {e}")))
}
