//! What every training phase needs around its loop: its folder, checkpoints, log and progress.
//!
//! ```text
//! RUN/mle/config.toml        resolved settings
//! RUN/mle/metrics.jsonl      one line a step
//! RUN/mle/checkpoints/       the newest and the best
//! RUN/mle/model/             the finished model
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use finecap_files::{Lock, write_folder, write_text};
use serde_json::{Map, Value, json};

use crate::TrainError;
use crate::checkpoint::{Checkpoints, TrainState};
use crate::config::{Config, Export};
use crate::fingerprint::data_fingerprint;
use crate::job::{Job, Resume};
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::stop::is_asked_to_stop;

/// One phase of a run, from its first step (or the one it goes on from) to its last.
pub(crate) struct Phase {
    dir: PathBuf,
    name: &'static str,
    config: Config,
    checkpoints: Checkpoints,
    log: File,
    state: TrainState,
    /// States of the checkpoints to go on from, the newest first.
    resumable: Vec<TrainState>,
    steps: usize,
    started: Instant,
    progress: Progress,
    /// No other process works in this run.
    _lock: Lock,
}

/// Numbers of one step, in the order they are logged.
pub(crate) type Numbers = Vec<(String, f64)>;

impl Phase {
    /// Makes the phase's folder, or with `resume` finds where to go on.
    ///
    /// # Errors
    /// A folder that is there without `resume`, or was made with other settings or data; a run that is
    /// not there, or that another process works in.
    pub(crate) fn open(job: &Job, name: &'static str, steps: usize) -> Result<Self, TrainError> {
        let Job { config, .. } = *job;
        let run = RunFolder::new(job.run);
        let data = data_fingerprint(job.dataset);
        let dir = run.phase(name);
        let settings_path = dir.join("config.toml");
        let log_path = dir.join("metrics.jsonl");
        let checkpoints = Checkpoints::new(dir.join("checkpoints"));
        if job.resume == Resume::GoOn && !run.is_run() {
            let problem =
                "holds no run to go on with: check --out, or leave --resume out to begin one";
            return Err(TrainError::file(job.run, problem));
        }
        let lock = Lock::acquire(job.run)?;
        let mut resumable = Vec::new();
        if settings_path.exists() {
            if job.resume == Resume::Refuse {
                let problem = "holds a run already: go on with --resume, or choose another --out";
                return Err(TrainError::file(&dir, problem));
            }
            config.check_same(name, &settings_path)?;
            resumable = checkpoints.states()?;
            if resumable.iter().any(|state| state.data != data) {
                let problem = "was started on other data: choose another --out";
                return Err(TrainError::file(&dir, problem));
            }
        } else {
            fs::create_dir_all(&dir).map_err(TrainError::io("create", &dir))?;
            write_text(&settings_path, &config.to_toml()?)?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.map_err(TrainError::io("open", &log_path))?;
        let first = resumable.first().map_or(0, |state| state.step);
        let progress = Progress::new(name, first, steps);
        Ok(Self {
            dir,
            name,
            config: config.clone(),
            checkpoints,
            log,
            state: TrainState { step: 0, best: None, data },
            resumable,
            steps,
            started: Instant::now(),
            progress,
            _lock: lock,
        })
    }

    /// Steps that remain, counted from 1.
    pub(crate) fn remaining(&self) -> std::ops::RangeInclusive<usize> {
        self.state.step + 1..=self.steps
    }

    /// Loads weights and optimizer state of the newest checkpoint that can be read, and removes from
    /// the log what came after it.
    ///
    /// # Errors
    /// Checkpoints none of which can be read.
    pub(crate) fn restore<M: Module>(
        &mut self,
        model: M,
        optimizer: impl Fn() -> ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let mut damaged = None;
        for state in std::mem::take(&mut self.resumable) {
            // The model's record brings the parameter ids that the optimizer's state is keyed by.
            match self.checkpoints.load(state.step, model.clone(), optimizer()) {
                Ok(restored) => {
                    self.note(&format!("{:>10} goes on after step {}", self.name, state.step));
                    self.state = state;
                    self.cut_log()?;
                    return Ok(restored);
                }
                Err(error) => {
                    self.note(&format!(
                        "{:>10} {error}; the checkpoint before is tried",
                        self.name
                    ));
                    damaged.get_or_insert(error);
                }
            }
        }
        match damaged {
            Some(error) => {
                let dir = self.dir.display();
                let problem =
                    format!("no checkpoint can be read ({error}): remove {dir} to begin anew");
                Err(TrainError::file(&self.dir, problem))
            }
            None => {
                self.cut_log()?;
                Ok((model, optimizer()))
            }
        }
    }

    /// Removes what a killed run logged after its last checkpoint, and opens the log at its end.
    fn cut_log(&mut self) -> Result<(), TrainError> {
        let path = self.dir.join("metrics.jsonl");
        let text = fs::read(&path).map_err(TrainError::io("read", &path))?;
        write_text(&path, &kept_lines(&path, &String::from_utf8_lossy(&text), self.state.step)?)?;
        let log = OpenOptions::new().append(true).open(&path);
        self.log = log.map_err(TrainError::io("open", &path))?;
        Ok(())
    }

    /// Says something beside the progress.
    pub(crate) fn note(&self, line: &str) {
        self.progress.note(line);
    }

    /// Stops a run whose numbers have gone wrong, before the step is taken.
    pub(crate) fn check_finite(
        &self,
        step: usize,
        what: &'static str,
        value: f64,
        batch: &[String],
    ) -> Result<(), TrainError> {
        if value.is_finite() {
            return Ok(());
        }
        let dump = self.dir.join(format!("not-finite-step-{step}.json"));
        finecap_files::write_json(
            &dump,
            &json!({ "step": step, what: value.to_string(), "images": batch }),
        )?;
        Err(TrainError::NotFinite { what, step, dump })
    }

    /// Logs a step and shows it.
    pub(crate) fn log_step(&mut self, step: usize, numbers: Numbers) -> Result<(), TrainError> {
        let shown = numbers.iter().take(2).map(|(name, value)| format!("{name} {value:.4}"));
        let message = shown.collect::<Vec<_>>().join(", ");
        self.progress.set(step, || message);
        self.write_line("step", step, numbers)
    }

    fn write_line(&mut self, key: &str, step: usize, numbers: Numbers) -> Result<(), TrainError> {
        let mut line = Map::new();
        line.insert(key.into(), json!(step));
        line.insert("seconds".into(), json!(self.started.elapsed().as_secs_f64()));
        line.extend(numbers.into_iter().map(|(name, value)| (name, json!(value))));
        let path = self.dir.join("metrics.jsonl");
        writeln!(self.log, "{}", Value::Object(line)).map_err(TrainError::io("write", &path))
    }

    /// Whether this step ends with a checkpoint.
    pub(crate) fn is_checkpoint(&self, step: usize) -> bool {
        step.is_multiple_of(self.config.checkpoint.every) || step == self.steps
    }

    /// Logs a validation and saves a checkpoint. The first number is the score: more is better.
    /// Without any, nothing was held out, and no checkpoint is the best.
    pub(crate) fn checkpoint<M: Module>(
        &mut self,
        step: usize,
        validation: Numbers,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), TrainError> {
        let score = validation.first().map(|(_, value)| *value);
        if let Some((name, value)) = validation.iter().find(|(_, value)| !value.is_finite()) {
            let what = format!("validation's {name} ({value})");
            return Err(self.diverged(step, what));
        }
        if !are_finite(model) {
            return Err(self.diverged(step, "a weight of the model".into()));
        }
        if !validation.is_empty() {
            let shown = validation.iter().map(|(name, value)| format!("{name} {value:.4}"));
            let shown = shown.collect::<Vec<_>>().join(", ");
            self.progress.note(&format!("{:>10} step {step}: {shown}", self.name));
            self.write_line("validation_step", step, validation)?;
        }
        self.state.step = step;
        if let Some(score) = score
            && self.state.best.is_none_or(|(best, _)| score > best)
        {
            self.state.best = Some((score, step));
        }
        self.checkpoints.save(&self.state, model, optimizer, self.config.checkpoint.keep)
    }

    fn diverged(&self, step: usize, what: String) -> TrainError {
        let path = &self.dir;
        let problem = format!(
            "training has diverged: {what} is not finite at step {step}; nothing of it was saved: try a \
             lower learning rate in another --out"
        );
        TrainError::file(path, problem)
    }

    /// Where the process was asked to stop, saves a checkpoint and ends the phase, to go on later. The
    /// last step is followed by the end of the phase anyway.
    ///
    /// # Errors
    /// [`TrainError::Stopped`], and what saving runs into.
    pub(crate) fn stop_if_asked<M: Module>(
        &mut self,
        step: usize,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), TrainError> {
        if !is_asked_to_stop() || step == self.steps {
            return Ok(());
        }
        self.keep(step, model, optimizer)?;
        let (work, how) = (self.name.to_string(), " and --resume");
        Err(TrainError::Stopped { work, done: step, total: self.steps, how })
    }

    /// Saves a checkpoint where the phase ends before its time, unless `step` has one.
    pub(crate) fn keep<M: Module>(
        &mut self,
        step: usize,
        model: &M,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), TrainError> {
        if self.state.step != step {
            if !are_finite(model) {
                return Err(self.diverged(step, "a weight of the model".into()));
            }
            self.state.step = step;
            self.checkpoints.save(&self.state, model, optimizer, self.config.checkpoint.keep)?;
        }
        self.note(&format!("{:>10} kept after step {step}: --resume goes on", self.name));
        Ok(())
    }

    /// Chooses the weights to keep, hands them to `write` and closes the phase.
    pub(crate) fn finish<M: Module>(
        self,
        model: M,
        write: impl FnOnce(&M, &Path) -> Result<(), TrainError>,
    ) -> Result<M, TrainError> {
        let model = match (self.config.checkpoint.export, self.state.best) {
            (Export::Best, Some((_, best))) if best != self.state.step => {
                self.checkpoints.load_model(best, model)?
            }
            _ => model,
        };
        write_folder(&self.dir.join("model"), |dir| write(&model, dir))?;
        self.progress.finish(&format!("-> {}", self.dir.join("model").display()));
        Ok(model)
    }
}

/// The lines of a log up to a step. Of a process that was killed the last line may be cut.
fn kept_lines(path: &Path, text: &str, step: usize) -> Result<String, TrainError> {
    let count = text.lines().count();
    let mut kept = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.lines()) {
        let at = serde_json::from_str::<Value>(line).ok().and_then(|line| {
            let at = line.get("step").or_else(|| line.get("validation_step"))?;
            at.as_u64()
        });
        match at {
            Some(at) if at as usize <= step => {
                kept.push_str(line);
                kept.push('\n');
            }
            Some(_) => {}
            None if number == count => {}
            None => {
                let problem = format!(
                    "line {number} is not what finecap wrote there: remove that line to go on"
                );
                return Err(TrainError::file(path, problem));
            }
        }
    }
    Ok(kept)
}

/// Whether all weights are numbers.
fn are_finite<M: Module>(model: &M) -> bool {
    let mut weights = Finite(true);
    model.visit(&mut weights);
    weights.0
}

struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 = self.0 && param.val().is_finite().all().into_scalar::<bool>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_cut_after_a_step_and_garbage_is_named() {
        let line = |step: usize| format!("{{\"step\": {step}, \"loss\": 1.0}}\n");
        let validation = "{\"validation_step\": 2, \"score\": 1.0}\n";
        let text = format!("{}{}{validation}{}", line(1), line(2), line(3));
        let path = Path::new("metrics.jsonl");
        let expected = format!("{}{}{validation}", line(1), line(2));
        assert_eq!(kept_lines(path, &text, 2).unwrap(), expected);
        assert_eq!(kept_lines(path, &format!("{text}{{\"st"), 2).unwrap(), expected);
        assert_eq!(kept_lines(path, "", 2).unwrap(), "");
        let error = kept_lines(path, &format!("\0\0\n{text}"), 2).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl") && error.contains("line 1"), "{error}");
    }
}
