//! Where captions go: lines or JSON, to the terminal or a file, as they come.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use finecap::captioner::{Hypothesis, Vocab};
use serde::Serialize;

use super::settings::{Described, Method};

/// One caption.
#[derive(Serialize)]
struct Said {
    caption: String,
    /// What captions are compared by, or the log-probability of a sample.
    score: f32,
    /// Whether it ended before the longest length.
    ended: bool,
}

/// One image in JSON.
#[derive(Serialize)]
struct Item<'a> {
    image: &'a str,
    #[serde(flatten)]
    best: Said,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    n_best: Vec<Said>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    samples: Vec<Said>,
    decoding: &'a Described,
}

/// Writes captions one image at a time.
pub struct Output {
    writer: Box<dyn Write>,
    /// The settings that JSON repeats with every image; `None` for lines of picture, tab, caption.
    json: Option<Described>,
    /// The unfinished file and its name in the end.
    file: Option<(PathBuf, PathBuf)>,
    images: usize,
}

impl Output {
    /// Opens `path`, or standard output; a file is JSON in any case.
    pub fn open(path: Option<&Path>, json: bool, method: &Method) -> Result<Self> {
        let json = (json || path.is_some()).then(|| method.describe());
        let Some(path) = path else {
            return Ok(Self { writer: Box::new(io::stdout()), json, file: None, images: 0 });
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.new"));
        let file =
            File::create(&part).with_context(|| format!("cannot write {}", path.display()))?;
        let file_names = Some((part, path.to_path_buf()));
        Ok(Self { writer: Box::new(BufWriter::new(file)), json, file: file_names, images: 0 })
    }

    /// Writes the captions of one image.
    pub fn write(&mut self, image: &str, found: &[Hypothesis], vocab: &Vocab) -> Result<()> {
        let said = |h: &Hypothesis| Said {
            caption: vocab.decode(&h.caption.ids),
            score: h.score,
            ended: h.caption.ended,
        };
        let mut all: Vec<Said> = found.iter().map(said).collect();
        let Some(decoding) = &self.json else {
            for said in all {
                writeln!(self.writer, "{image}\t{}", said.caption)?;
            }
            return Ok(());
        };
        let Some(best) = found.first().map(said) else { return Ok(()) };
        if all.len() == 1 {
            all.clear();
        }
        let (n_best, samples) = match decoding {
            Described::Search { .. } => (all, Vec::new()),
            Described::Sample { .. } => (Vec::new(), all),
        };
        let item = Item { image, best, n_best, samples, decoding };
        self.writer.write_all(if self.images == 0 { b"[\n" } else { b",\n" })?;
        self.images += 1;
        Ok(serde_json::to_writer(&mut self.writer, &item)?)
    }

    /// Ends the list, and gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        match (&self.json, self.images) {
            (None, _) => {}
            (Some(_), 0) => writeln!(self.writer, "[]")?,
            (Some(_), _) => writeln!(self.writer, "\n]")?,
        }
        self.writer.flush()?;
        if let Some((part, path)) = self.file.take() {
            fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.file {
            // Not finished: what failed is reported elsewhere, and a leftover is overwritten.
            let _ = fs::remove_file(part);
        }
    }
}
