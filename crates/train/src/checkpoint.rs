//! Checkpoints: folders that are written whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use finecap_files::{write_folder, write_json};
use serde::{Deserialize, Serialize};

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

    /// Saves a checkpoint and removes all but the newest `keep` and the best.
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
            record.save(&path).map_err(|e| TrainError::file(&path, e.to_string()))?;
            let path = dir.join("optimizer.bpk");
            optimizer.save(&path).map_err(|e| TrainError::file(&path, e.to_string()))?;
            Ok(write_json(&dir.join("state.json"), state)?)
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

/// Reads a JSON value.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    serde_json::from_str(&text)
        .map_err(|e| TrainError::file(path, format!("is not what finecap wrote there: {e}")))
}
