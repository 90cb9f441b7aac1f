//! Captions in a text file, one a line, a few at a time.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use finecap::train::Progress;

/// Lines handed over together.
const CHUNK: usize = 1024;

/// Hands the lines of a file over in order, and returns how many there are. Empty lines count.
pub fn each_chunk(
    path: &Path,
    label: &str,
    mut each: impl FnMut(&[String]) -> Result<()>,
) -> Result<usize> {
    let open = || -> Result<BufReader<File>> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    };
    // What can be read only once, a pipe, has no known number of lines.
    let total = if path.is_file() { open()?.split(b'\n').count() } else { 0 };
    let mut progress = Progress::new(label, 0, total);
    let mut lines = open()?.lines().enumerate();
    let mut done = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        for (number, line) in lines.by_ref().take(CHUNK) {
            let line = line.with_context(|| {
                format!("{}: line {} cannot be read as UTF-8", path.display(), number + 1)
            })?;
            if number == 0 {
                check_first(path, &line)?;
            }
            let start = if number == 0 { "\u{feff}" } else { "" };
            chunk.push(line.strip_prefix(start).unwrap_or(&line).to_string());
        }
        if chunk.is_empty() {
            break;
        }
        each(&chunk)?;
        done += chunk.len();
        progress.set(done, String::new);
    }
    if done == 0 {
        bail!("{}: holds no captions", path.display());
    }
    progress.finish("");
    Ok(done)
}

/// A file of another format is not read line by line.
fn check_first(path: &Path, line: &str) -> Result<()> {
    let start = line.trim_start_matches('\u{feff}').trim();
    let json = ["{\"", "[{", "[\"", "{'"].iter().any(|begin| start.starts_with(begin));
    if json || start == "{" || start == "[" {
        bail!("{}: is JSON, and plain text with one caption a line is needed", path.display());
    }
    Ok(())
}
