//! Work without the interpreter's lock, which Ctrl-C ends and whose progress is shown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use finecap::terminal::sentence;
use indicatif::{ProgressBar, ProgressStyle};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// How often Ctrl-C is listened for.
const TICK: Duration = Duration::from_millis(50);
/// Work that takes longer shows a bar.
const QUICK: Duration = Duration::from_secs(1);

/// How far work has come.
#[derive(Default)]
pub struct Steps {
    done: AtomicUsize,
    total: AtomicUsize,
    stop: AtomicBool,
}

impl Steps {
    /// Says how much there is to do.
    pub fn expect(&self, total: usize) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Says that so much is done.
    ///
    /// # Errors
    /// Where nobody waits for the result any more.
    pub fn reach(&self, done: usize) -> Result<()> {
        self.done.store(done, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => bail!("stopped"),
            false => Ok(()),
        }
    }
}

/// Computes on a thread of its own while this one listens for Ctrl-C, which answers at once: what still
/// runs then ends at its next step. With a `label`, work of more than a second shows a bar.
///
/// # Errors
/// `ValueError` with the sentence of the job's error; what a signal handler raises.
pub fn work<T, F>(py: Python<'_>, label: Option<&'static str>, job: F) -> PyResult<T>
where
    T: Send + 'static,
    F: FnOnce(&Steps) -> Result<T> + Send + 'static,
{
    check_process()?;
    let steps = Arc::new(Steps::default());
    let (send, mut receive) = sync_channel(1);
    let theirs = steps.clone();
    thread::spawn(move || {
        let _ = send.send(catch_unwind(AssertUnwindSafe(|| job(&theirs))));
    });
    let started = Instant::now();
    let mut bar = None;
    loop {
        let answer;
        (receive, answer) = py.detach(move || {
            let answer = receive.recv_timeout(TICK);
            (receive, answer)
        });
        match answer {
            Ok(Ok(result)) => {
                bar.iter().for_each(ProgressBar::finish_and_clear);
                return result.map_err(|error| PyValueError::new_err(sentence(&error)));
            }
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                bar.iter().for_each(ProgressBar::finish_and_clear);
                return Err(PyRuntimeError::new_err(
                    "finecap failed where it should not: please report this with the lines above",
                ));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Err(interrupt) = py.check_signals() {
                    steps.stop.store(true, Ordering::Relaxed);
                    bar.iter().for_each(ProgressBar::finish_and_clear);
                    return Err(interrupt);
                }
                if let Some(label) = label
                    && started.elapsed() > QUICK
                {
                    show(bar.get_or_insert_with(|| new_bar(label)), &steps);
                }
            }
        }
    }
}

fn show(bar: &ProgressBar, steps: &Steps) {
    bar.set_length(steps.total.load(Ordering::Relaxed) as u64);
    bar.set_position(steps.done.load(Ordering::Relaxed) as u64);
}

/// A bar on stderr; it draws nothing where that is no terminal.
fn new_bar(label: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{prefix:>10} {bar:30} {pos}/{len} {elapsed} gone, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(label);
    bar
}

/// The process that has started threads; 0 for none.
static AT_WORK: AtomicU32 = AtomicU32::new(0);

/// A forked process has no threads but the one that forked, and would wait for the others for ever.
fn check_process() -> PyResult<()> {
    let own = process::id();
    match AT_WORK.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Err(other) if other != own => Err(PyRuntimeError::new_err(
            "finecap was used before this process was forked, and its threads are gone: start processes with \
             multiprocessing's \"spawn\" or \"forkserver\", or use finecap in the new ones only",
        )),
        _ => Ok(()),
    }
}
