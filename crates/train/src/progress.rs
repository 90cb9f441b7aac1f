//! Progress with the time left: a bar on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one phase.
pub struct Progress {
    label: String,
    total: usize,
    first: usize,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts at `done` of `total`, where a resumed phase goes on.
    pub fn new(label: &str, done: usize, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total as u64).with_position(done as u64);
            let template = "{prefix:>10} {bar:30} {pos}/{len} {elapsed} gone, {eta} left {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_string());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { label: label.into(), total, first: done, started: now, last_line: now, bar }
    }

    /// Reports that `done` of the total are done; `message` is only made when it is shown.
    pub fn set(&mut self, done: usize, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(message());
        } else if self.last_line.elapsed() >= LINE_EVERY && done < self.total {
            self.last_line = Instant::now();
            let gone = self.started.elapsed().as_secs_f64();
            let left = gone / (done - self.first).max(1) as f64 * (self.total - done) as f64;
            let message = message();
            eprintln!("{:>10} {done}/{} {left:.0} s left {message}", self.label, self.total);
        }
    }

    /// Ends the bar with one line that stays.
    pub fn finish(self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let gone = self.started.elapsed().as_secs_f64();
        eprintln!("{:>10} {}/{} in {gone:.1} s {message}", self.label, self.total, self.total);
    }

    /// Prints a line without disturbing the bar.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}
