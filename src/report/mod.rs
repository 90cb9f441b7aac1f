//! A report on captioners as one self-contained HTML file: their scores, the curves of their
//! training, and held-out pictures with every captioner's caption side by side.

mod curves;
mod intervals;
mod page;
mod runs;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use finecap_files::write_text;
use finecap_train::{EvaluationFile, TableRow};

pub use curves::Chart;
use intervals::{Intervals, intervals};
use page::Page;
use runs::{Run, find};

/// Most pictures in the gallery, by default.
pub const PICTURES: usize = 60;

/// Every `evaluation.json` in a folder and below, with its own folder.
///
/// # Errors
/// A folder without evaluations, a file that cannot be read.
pub fn evaluations(dir: &Path) -> Result<Vec<(PathBuf, EvaluationFile)>> {
    Ok(find_some(dir)?.into_iter().map(|run| (run.dir, run.evaluation)).collect())
}

/// A chart for every number that the training logs of these runs hold; a run's place in `dirs` is
/// that of its lines.
///
/// # Errors
/// A folder without evaluations, a file that cannot be read.
pub fn charts(dirs: &[PathBuf]) -> Result<Vec<Chart>> {
    let runs = dirs.iter().map(|dir| Ok(find_some(dir)?.remove(0)));
    let runs = runs.collect::<Result<Vec<Run>>>()?;
    Chart::all(&runs.iter().collect::<Vec<_>>())
}

fn find_some(dir: &Path) -> Result<Vec<Run>> {
    let mut found = Vec::new();
    find(dir, &mut found)?;
    if found.is_empty() {
        bail!(
            "there is no evaluation.json in {}: `finecap train mle` and `scst` write one when \
             they end",
            dir.display()
        );
    }
    Ok(found)
}

/// Writes a report on every `evaluation.json` below the folders of `runs`.
///
/// Captioners of the same name and different seeds are taken to be runs of one recipe: the table
/// gives their mean and spread, curves and gallery show the first. The gallery holds at most
/// `pictures` pictures, and is left out for 0.
///
/// # Errors
/// A folder without evaluations, a file that cannot be read, evaluations of different pictures.
pub fn write(runs: &[PathBuf], pictures: usize, out: &Path) -> Result<()> {
    let mut found: Vec<Run> = Vec::new();
    for dir in runs {
        found.extend(find_some(dir)?);
    }
    name_apart(&mut found);
    let mut names: Vec<&str> = Vec::new();
    for run in &found {
        if !names.contains(&run.evaluation.name.as_str()) {
            names.push(&run.evaluation.name);
        }
    }
    let of_name = |name: &str| -> Vec<&Run> {
        found.iter().filter(|run| run.evaluation.name == name).collect()
    };
    let table: Vec<TableRow> = names
        .iter()
        .map(|name| {
            let seeds: Vec<_> =
                of_name(name).iter().map(|run| run.evaluation.scores.clone()).collect();
            TableRow::new(*name, &seeds)
        })
        .collect();
    let first: Vec<&Run> = names.iter().filter_map(|name| of_name(name).first().copied()).collect();
    let intervals = first
        .iter()
        .zip(&table)
        .map(|(run, row)| match row.seeds {
            1 => intervals(&run.evaluation.captions),
            // The spread over seeds says more.
            _ => Ok(Intervals::new()),
        })
        .collect::<Result<_>>()?;
    let page = Page {
        table: &table,
        intervals,
        charts: Chart::all(&first)?,
        gallery: page::gallery(&first, pictures)?,
    };
    write_text(out, &page.render())?;
    Ok(())
}

/// Adds the folder to the names of captioners that share both name and seed, which no recipe does.
fn name_apart(runs: &mut [Run]) {
    let key = |run: &Run| (run.evaluation.name.clone(), run.evaluation.seed);
    let keys: Vec<_> = runs.iter().map(key).collect();
    for (run, key) in runs.iter_mut().zip(&keys) {
        if keys.iter().filter(|other| *other == key).count() > 1 {
            run.evaluation.name = format!("{} ({})", key.0, run.dir.display());
        }
    }
}
