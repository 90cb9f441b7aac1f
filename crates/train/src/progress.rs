//! Progress of long work, told to whoever wants to show it. Nothing is printed here.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What happens to a piece of work.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ProgressEvent<'a> {
    /// It begins, or goes on after `done` of `total`.
    Started {
        /// Name of the work, as "mle" or "features".
        label: &'a str,
        /// What was done before.
        done: usize,
        /// All there is to do; 0 where that is not known.
        total: usize,
    },
    /// Some of it is done.
    Advanced {
        /// Name of the work.
        label: &'a str,
        /// What is done.
        done: usize,
        /// All there is to do.
        total: usize,
        /// The time that is left at the mean speed since the start.
        left: Duration,
        /// A few words, as the loss.
        message: &'a str,
    },
    /// Something to know that is not about how far it is.
    Note(&'a str),
    /// It is finished.
    Finished {
        /// Name of the work.
        label: &'a str,
        /// All there was to do.
        total: usize,
        /// How long it took.
        took: Duration,
        /// A few words, as where the result is.
        message: &'a str,
    },
}

type Show = Box<dyn Fn(&ProgressEvent) + Send + Sync>;

static SHOW: OnceLock<Show> = OnceLock::new();

/// Says who shows progress, for the whole process; nobody does before this is called. Returns whether
/// this was the first call, whose choice stays.
pub fn show_progress(show: impl Fn(&ProgressEvent) + Send + Sync + 'static) -> bool {
    SHOW.set(Box::new(show)).is_ok()
}

fn tell(event: &ProgressEvent) {
    if let Some(show) = SHOW.get() {
        show(event);
    }
}

/// Progress of one piece of work.
pub struct Progress {
    label: String,
    total: usize,
    first: usize,
    started: Instant,
}

impl Progress {
    /// Starts at `done` of `total`, where resumed work goes on.
    pub fn new(label: &str, done: usize, total: usize) -> Self {
        tell(&ProgressEvent::Started { label, done, total });
        Self { label: label.into(), total, first: done, started: Instant::now() }
    }

    /// Reports that `done` of the total are done; `message` is only made when somebody looks.
    pub fn set(&mut self, done: usize, message: impl FnOnce() -> String) {
        if SHOW.get().is_none() {
            return;
        }
        let each = self.started.elapsed() / done.saturating_sub(self.first).max(1) as u32;
        let left = each * self.total.saturating_sub(done) as u32;
        let (label, total, message) = (self.label.as_str(), self.total, &*message());
        tell(&ProgressEvent::Advanced { label, done, total, left, message });
    }

    /// Ends the work with a few words.
    pub fn finish(self, message: &str) {
        let (label, total, took) = (self.label.as_str(), self.total, self.started.elapsed());
        tell(&ProgressEvent::Finished { label, total, took, message });
    }

    /// Says something beside.
    pub fn note(&self, line: &str) {
        tell(&ProgressEvent::Note(line));
    }
}
