//! A child process that answers line by line.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{self, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::wire::{Answer, Failure, Question, answer};

/// A longer line is no answer.
const MAX_LINE: u64 = 1 << 20;

/// The running program. It is ended when this is dropped.
pub(super) struct Child {
    process: process::Child,
    /// Batches of lines for the thread that writes, so that a full pipe blocks nothing.
    questions: Option<Sender<String>>,
    answers: Receiver<String>,
    /// The last line that it wrote to stderr.
    complaint: Arc<Mutex<String>>,
    /// Ends when stderr does.
    listener: thread::JoinHandle<()>,
}

/// How long a program that has ended may take to have its last words read.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Child {
    pub fn start(words: &[String]) -> Result<Self, Failure> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| Failure::Broken(format!("could not be started: {error}"));
        let mut process = command.spawn().map_err(failed)?;
        let (stdin, stdout, stderr) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(Failure::Broken("could not be spoken to".into()));
        };
        let (questions, to_write) = channel();
        let (read, answers) = channel();
        let complaint = Arc::<Mutex<String>>::default();
        let last = complaint.clone();
        thread::spawn(move || write(stdin, &to_write));
        thread::spawn(move || read_lines(stdout, &read));
        let listener = thread::spawn(move || read_last(stderr, &last));
        Ok(Self { process, questions: Some(questions), answers, complaint, listener })
    }

    /// Sends a batch and waits for as many answers.
    pub fn ask(&mut self, questions: &[Question], limit: Duration) -> Result<Vec<Answer>, Failure> {
        let mut lines = String::new();
        for question in questions {
            let line = serde_json::to_string(question);
            lines.push_str(&line.map_err(|error| Failure::Broken(error.to_string()))?);
            lines.push('\n');
        }
        if let Some(writer) = &self.questions {
            // Where the thread has ended, so has the program, which shows below.
            let _ = writer.send(lines);
        }
        let until = Instant::now() + limit;
        let mut answers = Vec::with_capacity(questions.len());
        while answers.len() < questions.len() {
            match self.answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => answers.push(answer(&line)?),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.broken(format!(
                        "gave {} of {} scores within {} s",
                        answers.len(),
                        questions.len(),
                        limit.as_secs_f64()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let until = Instant::now() + LAST_WORDS;
                    while !self.listener.is_finished() && Instant::now() < until {
                        thread::sleep(Duration::from_millis(5));
                    }
                    let status =
                        self.process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                    return Err(self.broken(format!(
                        "ended ({status}) after {} of {} scores",
                        answers.len(),
                        questions.len()
                    )));
                }
            }
        }
        Ok(answers)
    }

    fn broken(&self, problem: String) -> Failure {
        let said = self.complaint.lock().map(|line| line.clone()).unwrap_or_default();
        match said.trim() {
            "" => Failure::Broken(problem),
            said => Failure::Broken(format!("{problem}; it said: {said}")),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // An end of its input is what a well-behaved program waits for; others are ended.
        self.questions = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(mut stdin: ChildStdin, batches: &Receiver<String>) {
    for lines in batches {
        if stdin.write_all(lines.as_bytes()).and_then(|()| stdin.flush()).is_err() {
            break;
        }
    }
}

fn read_lines(stdout: ChildStdout, lines: &Sender<String>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        }
    }
}

fn read_last(stderr: ChildStderr, last: &Mutex<String>) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let line =
                    String::from_utf8_lossy(&line).trim().chars().take(200).collect::<String>();
                if let Ok(mut last) = last.lock()
                    && !line.is_empty()
                {
                    *last = line;
                }
            }
        }
    }
}
