//! `finecap eval finecap`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use finecap::data::{FineCapEval, FineScore};
use finecap::metrics::Interval;
use serde_json::{Map, Value, json};

use super::matching::Targets;
use super::resampling::Resampling;
use crate::cli::data::{ColumnsArgs, captions};

#[derive(Args)]
pub struct FineCap {
    /// Captions, in any format that `finecap eval captions` reads.
    #[arg(long, value_name = "FILE")]
    candidates: PathBuf,
    /// FineCapEval's csv file, with the columns image, caption, background, object and relation.
    #[arg(long, value_name = "CSV")]
    data: PathBuf,
    /// Score the images that both files have, instead of stopping at the first that one lacks.
    #[arg(long)]
    allow_missing: bool,
    #[command(flatten)]
    columns: ColumnsArgs,
    #[command(flatten)]
    resampling: Resampling,
    /// File for all numbers, each image's included (JSON).
    #[arg(long, value_name = "JSON")]
    output: Option<PathBuf>,
    /// Print the numbers as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl FineCap {
    pub fn run(self) -> Result<()> {
        let data = FineCapEval::read(&self.data)?;
        let rows = self.matched(&data)?;
        let columns = data.score(&rows)?;
        let numbers = |images: &[usize]| -> Vec<f64> {
            let mean = |column: &FineScore| {
                images.iter().map(|&i| column.per_image[i]).sum::<f64>() / images.len() as f64
            };
            columns.iter().map(mean).collect()
        };
        let scores = numbers(&(0..rows.len()).collect::<Vec<_>>());
        let intervals = self.resampling.intervals(rows.len(), numbers)?;

        let mut whole = json!({
            "count": rows.len(),
            "rows_left_out": data.left_out,
            "candidates": self.candidates,
            "data": self.data,
            "resamples": self.resampling.resamples,
            "seed": self.resampling.seed,
            "scores": nested(&columns, |i| match intervals.get(i) {
                Some(found) => json!({"score": scores[i], "interval": [found.low, found.high]}),
                None => json!({ "score": scores[i] }),
            }),
        });
        if self.json {
            println!("{}", serde_json::to_string_pretty(&whole)?);
        } else {
            println!("{}", table(&columns, &scores, &intervals, rows.len(), data.left_out));
        }
        if let Some(output) = &self.output {
            let images: Map<String, Value> = (rows.iter().enumerate())
                .map(|(row, (place, caption))| {
                    let mut image = nested(&columns, |i| json!(columns[i].per_image[row]));
                    image.insert("caption".into(), caption.as_str().into());
                    (data.images[*place].name.clone(), image.into())
                })
                .collect();
            whole["images"] = images.into();
            finecap::files::write_json(output, &whole)?;
        }
        Ok(())
    }

    /// Places of the images with their captions, in the order of the data set.
    fn matched(&self, data: &FineCapEval) -> Result<Vec<(usize, String)>> {
        let names = data.names();
        let targets = Targets {
            file: &self.data,
            shown: data.images.iter().map(|image| &*image.name).collect(),
            names: &names,
            allow_missing: self.allow_missing,
            hint: "",
        };
        targets.matched(captions(&self.candidates, &self.columns.options())?)
    }
}

/// `{"object": {"reference": ..., "strict": ...}, ...}`
fn nested(columns: &[FineScore], value: impl Fn(usize) -> Value) -> Map<String, Value> {
    let mut all = Map::new();
    for (i, column) in columns.iter().enumerate() {
        all.entry(column.criterion).or_insert_with(|| json!({}))[column.mode] = value(i);
    }
    all
}

fn table(
    columns: &[FineScore],
    scores: &[f64],
    intervals: &[Interval],
    images: usize,
    left_out: usize,
) -> String {
    let mut lines = vec![format!("{images} images")];
    if left_out > 0 {
        lines[0] += &format!(", {left_out} rows left out because a column is empty");
    }
    lines.push(String::new());
    let heading = if intervals.is_empty() { "" } else { "95 % interval" };
    lines.push(format!("{:<12}{:<11}{:>8}{heading:>18}", "", "words match", "score"));
    for (i, column) in columns.iter().enumerate() {
        let mut line = format!("{:<12}{:<11}{:>8.4}", column.criterion, column.mode, scores[i]);
        if let Some(found) = intervals.get(i) {
            line += &format!("{:>18}", format!("{:.4}..{:.4}", found.low, found.high));
        }
        lines.push(line);
    }
    lines.push(String::new());
    lines.push(
        "reference: a stem anywhere in the caption, as released; strict: a word of the same stem"
            .into(),
    );
    lines.join("\n")
}
