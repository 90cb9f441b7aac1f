//! Where captions go: lines or JSON, to the terminal or a file, as they come.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use finecap::captioner::{Hypothesis, Vocab};
use serde_json::{Value, json};

use super::settings::Method;

/// Writes captions one image at a time.
pub struct Output {
    writer: Box<dyn Write>,
    /// What is written as JSON besides the captions; `None` for lines of picture, tab, caption.
    json: Option<(&'static str, Value)>,
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

    /// Writes the captions of one image, of which there is at least one.
    pub fn write(&mut self, image: &str, found: &[Hypothesis], vocab: &Vocab) -> Result<()> {
        let text = |h: &Hypothesis| vocab.decode(&h.caption.ids);
        let Some((several, settings)) = &self.json else {
            for hypothesis in found {
                writeln!(self.writer, "{image}\t{}", text(hypothesis))?;
            }
            return Ok(());
        };
        let entry = |h: &Hypothesis| json!({ "caption": text(h), "score": h.score, "ended": h.caption.ended });
        let Some(first) = found.first() else { return Ok(()) };
        let mut value = entry(first);
        value["image"] = image.into();
        if found.len() > 1 {
            value[*several] = found.iter().map(entry).collect();
        }
        value["decoding"] = settings.clone();
        let before = if self.images == 0 { "[\n" } else { ",\n" };
        self.images += 1;
        write!(self.writer, "{before}{value}")?;
        Ok(())
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
            // Not finished: what failed is told elsewhere, and a leftover is overwritten.
            let _ = fs::remove_file(part);
        }
    }
}
