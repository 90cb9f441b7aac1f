//! `finecap eval run`

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use finecap::metrics::{Meteor, ptb_tokenize};
use finecap::train::{EvaluationFile, caption_columns, heading};
use serde_json::{Map, Value, json};

use super::lines::Lines;
use super::meteor::MeteorData;
use super::resampling::Resampling;
use super::scores::{Column, Scores};

#[derive(Args)]
pub struct Run {
    /// Run of `finecap train`, or one phase of it; its held-out captions are those of the test
    /// split, or of the validation split where there is no other.
    run: PathBuf,
    #[command(flatten)]
    meteor: MeteorData,
    #[command(flatten)]
    resampling: Resampling,
    /// Print the numbers as JSON instead of tables.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub fn run(self) -> Result<()> {
        let meteor = self.meteor.load()?;
        let mut all = Map::new();
        for (dir, evaluation) in finecap::report::evaluations(&self.run)? {
            if evaluation.captions.is_empty() {
                bail!("{}: its evaluation.json holds no captions", dir.display());
            }
            let scores = scores(&evaluation, meteor.as_ref())?;
            let lines = Lines::of(&scores, None, &self.resampling)?;
            if self.json {
                let about = json!({ "name": evaluation.name, "decoding": evaluation.decoding });
                let about = about.as_object().cloned().unwrap_or_default();
                all.insert(dir.display().to_string(), lines.json(about));
            } else {
                println!(
                    "{}: {}, {} images, decoded {}\n\n{}\n",
                    dir.display(),
                    evaluation.name,
                    evaluation.captions.len(),
                    evaluation.decoding,
                    lines.table()
                );
            }
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&Value::from(all))?);
        }
        Ok(())
    }
}

/// Text metrics by coco-caption's words, and the scores that training noted for each caption.
fn scores(evaluation: &EvaluationFile, meteor: Option<&Meteor>) -> Result<Scores> {
    let said = &evaluation.captions;
    let captions: Vec<String> = said.iter().map(|one| ptb_tokenize(&one.caption)).collect();
    let references: Vec<Vec<String>> =
        said.iter().map(|one| one.references.iter().map(|r| ptb_tokenize(r)).collect()).collect();
    // CIDEr-D is computed anew, with coco-caption's words.
    let noted = caption_columns(said).into_iter().filter(|(name, _)| *name != "cider");
    let columns: Vec<Column> = noted.map(|(name, values)| (heading(name), values)).collect();
    Scores::of(&captions, &references, meteor, None, columns)
}
