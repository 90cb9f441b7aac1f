//! Progress on the terminal: a bar with the time left, or plain lines where stderr goes elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use finecap_train::{ProgressEvent, show_progress};
use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of this process on stderr.
pub fn show() {
    let terminal = Mutex::new(Terminal { bar: None, last_line: Instant::now() });
    show_progress(move |event| {
        if let Ok(mut terminal) = terminal.lock() {
            terminal.show(event);
        }
    });
}

/// Writes a line to stderr. Whoever read it may be gone, which stops no work.
pub fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// An error and its causes in one sentence, without those that the message already contains.
pub fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |so_far, cause| {
        match so_far.as_str() {
            "" => cause,
            _ if so_far.contains(&cause) => so_far,
            _ => format!("{so_far}: {cause}"),
        }
    })
}

struct Terminal {
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Terminal {
    fn show(&mut self, event: &ProgressEvent) {
        match *event {
            ProgressEvent::Started { label, done, total } => {
                self.last_line = Instant::now();
                self.bar = stderr().is_terminal().then(|| bar(label, done, total));
            }
            ProgressEvent::Advanced { label, done, total, left, message } => {
                if let Some(bar) = &self.bar {
                    bar.set_position(done as u64);
                    bar.set_message(message.to_string());
                } else if self.last_line.elapsed() >= LINE_EVERY && done < total {
                    self.last_line = Instant::now();
                    let left = left.as_secs();
                    say(&format!("{label:>10} {done}/{total} {left} s left {message}"));
                }
            }
            ProgressEvent::Note(line) => match &self.bar {
                Some(bar) => bar.suspend(|| say(line)),
                None => say(line),
            },
            ProgressEvent::Finished { label, total, took, message } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                let took = took.as_secs_f64();
                say(&format!("{label:>10} {total}/{total} in {took:.1} s {message}"));
            }
            _ => {}
        }
    }
}

fn bar(label: &str, done: usize, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_position(done as u64);
    let template = "{prefix:>10} {bar:30} {pos}/{len} {elapsed} gone, {eta} left {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(label.to_string());
    bar.reset_eta();
    bar
}
