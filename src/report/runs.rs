//! Finding evaluations and the logs beside them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use finecap_train::EvaluationFile;
use serde_json::Value;

/// Folders below the one that was named that are looked through.
const DEPTH: usize = 3;

/// One captioner that was evaluated.
pub(super) struct Run {
    /// Folder of its `evaluation.json`.
    pub dir: PathBuf,
    pub evaluation: EvaluationFile,
}

/// Adds every evaluation in `dir` and below, those in order of their folders' names, MLE first.
pub(super) fn find(dir: &Path, runs: &mut Vec<Run>) -> Result<()> {
    let mut found = Vec::new();
    collect(dir, DEPTH, &mut found)?;
    found.sort_by_key(|run: &Run| (run.evaluation.seed, run.evaluation.order, run.dir.clone()));
    runs.append(&mut found);
    Ok(())
}

fn collect(dir: &Path, depth: usize, runs: &mut Vec<Run>) -> Result<()> {
    if dir.join("evaluation.json").is_file() {
        runs.push(Run { dir: dir.to_path_buf(), evaluation: EvaluationFile::read(dir)? });
    }
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", dir.display()))?.path();
        if depth > 0 && path.is_dir() {
            collect(&path, depth - 1, runs)?;
        }
    }
    Ok(())
}

impl Run {
    /// The lines of its training log, if there is one.
    pub(super) fn log(&self) -> Result<Vec<Value>> {
        let places = [self.dir.join("metrics.jsonl"), self.dir.join("scst/metrics.jsonl")];
        let Some(path) = places.iter().find(|path| path.is_file()) else { return Ok(Vec::new()) };
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        // A line that a kill has cut short is passed over.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// A picture that was captioned.
    pub(super) fn picture(&self, name: &str) -> PathBuf {
        self.dir.join(&self.evaluation.pictures).join(name)
    }
}
