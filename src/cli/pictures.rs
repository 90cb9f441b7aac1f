//! Picture files on the command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Files as given, folders replaced by the picture files in them, in order of their names.
pub fn pictures(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| {
                    let extension = path.extension().map(|e| e.to_ascii_lowercase());
                    extension.is_some_and(|e| e == "png" || e == "jpg" || e == "jpeg")
                })
                .collect();
            inside.sort();
            if inside.is_empty() {
                bail!("there are no PNG or JPEG files in {}", path.display());
            }
            pictures.extend(inside);
        } else {
            pictures.push(path.clone());
        }
    }
    Ok(pictures)
}
