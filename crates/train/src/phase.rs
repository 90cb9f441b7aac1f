//! What every training phase needs around its loop: its folder, checkpoints, log and progress.
//!
//! ```text
//! RUN/mle/config.toml        resolved settings
//! RUN/mle/metrics.jsonl      one line a step
//! RUN/mle/checkpoints/       the newest and the best
//! RUN/mle/model/             the finished model
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use finecap_files::{write_folder, write_text};
use serde_json::{Map, Value, json};

use crate::TrainError;
use crate::checkpoint::{Checkpoints, TrainState};
use crate::config::{Config, Export};
use crate::fingerprint::data_fingerprint;
use crate::job::{Job, Resume};
use crate::progress::Progress;

/// One phase of a run, from its first step (or the one it goes on from) to its last.
pub(crate) struct Phase {
    dir: PathBuf,
    name: &'static str,
    config: Config,
    checkpoints: Checkpoints,
    log: File,
    state: TrainState,
    resumed: bool,
    steps: usize,
    started: Instant,
    progress: Progress,
}

/// Numbers of one step, in the order they are logged.
pub(crate) type Numbers = Vec<(String, f64)>;

impl Phase {
    /// Makes the phase's folder, or with `resume` finds where to go on.
    ///
    /// # Errors
    /// A folder that is there without `resume`, or was made with other settings or data.
    pub(crate) fn open(job: &Job, name: &'static str, steps: usize) -> Result<Self, TrainError> {
        let Job { config, .. } = *job;
        let data = data_fingerprint(job.dataset);
        let dir = job.run.join(name);
        let settings = config.to_toml()?;
        let settings_path = dir.join("config.toml");
        let log_path = dir.join("metrics.jsonl");
        let checkpoints = Checkpoints::new(dir.join("checkpoints"));
        let mut state = TrainState { step: 0, best: None, data };
        let mut resumed = false;
        if settings_path.exists() {
            if job.resume == Resume::Refuse {
                let problem = "holds a run already: go on with --resume, or choose another --out";
                return Err(TrainError::file(&dir, problem));
            }
            let old = fs::read_to_string(&settings_path)
                .map_err(TrainError::io("read", &settings_path))?;
            check_settings(&settings_path, &old, &settings)?;
            if let Some(found) = checkpoints.newest()? {
                if found.data != state.data {
                    let problem = "was started on other data: choose another --out";
                    return Err(TrainError::file(&dir, problem));
                }
                state = found;
                resumed = true;
            }
        } else {
            fs::create_dir_all(&dir).map_err(TrainError::io("create", &dir))?;
            write_text(&settings_path, &settings)?;
        }
        cut_log(&log_path, state.step)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(TrainError::io("open", &log_path))?;
        let progress = Progress::new(name, state.step, steps);
        Ok(Self {
            dir,
            name,
            config: config.clone(),
            checkpoints,
            log,
            state,
            resumed,
            steps,
            started: Instant::now(),
            progress,
        })
    }

    /// Says something beside the progress.
    pub(crate) fn note(&self, line: &str) {
        self.progress.note(line);
    }

    /// Steps that remain, counted from 1.
    pub(crate) fn remaining(&self) -> std::ops::RangeInclusive<usize> {
        self.state.step + 1..=self.steps
    }

    /// Loads weights and optimizer state where the phase goes on from a checkpoint.
    pub(crate) fn restore<M: Module>(
        &self,
        model: M,
        optimizer: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        if !self.resumed {
            return Ok((model, optimizer));
        }
        self.progress.note(&format!("{:>10} goes on after step {}", self.name, self.state.step));
        // The model's record brings the parameter ids that the optimizer's state is keyed by.
        let model = self.checkpoints.load_model(self.state.step, model)?;
        Ok((model, self.checkpoints.load_optimizer(self.state.step, optimizer)?))
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

/// Refuses to go on with other settings, naming the first that differs.
fn check_settings(path: &Path, old: &str, new: &str) -> Result<(), TrainError> {
    if old == new {
        return Ok(());
    }
    let differing = old.lines().zip(new.lines()).find(|(a, b)| a != b);
    let detail = differing.map(|(a, b)| format!(": `{a}` then, `{b}` now")).unwrap_or_default();
    Err(TrainError::file(
        path,
        format!("this run was started with other settings{detail}; choose another --out"),
    ))
}

/// Removes what a killed run logged after its last checkpoint.
fn cut_log(path: &Path, step: usize) -> Result<(), TrainError> {
    if !path.exists() {
        return Ok(());
    }
    let file = File::open(path).map_err(TrainError::io("read", path))?;
    let keep = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let at = line.get("step").or_else(|| line.get("validation_step"));
        at.and_then(Value::as_u64).is_some_and(|at| at as usize <= step)
    };
    let lines: Vec<String> =
        BufReader::new(file).lines().map_while(Result::ok).filter(|line| keep(line)).collect();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).map_err(TrainError::io("write", path))
}
