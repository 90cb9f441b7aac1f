//! `finecap prepare`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use finecap::train::{Config, captioner_vocab, cider_table};

use super::data::{ColumnsArgs, dataset};

#[derive(Args)]
pub struct Prepare {
    /// Captions, in any format (see `finecap data inspect`); no picture is needed.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    columns: ColumnsArgs,
    /// Settings (TOML) of the captioner that will be trained: its vocabulary depends on them.
    #[arg(long, value_name = "TOML")]
    config: Option<PathBuf>,
    /// Change one setting, as in --set captioner.count_threshold=5; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Folder for the vocabulary (vocab.json) and CIDEr-D's document frequencies (cider.json).
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Prepare {
    pub fn run(self) -> Result<()> {
        let config = Config::read(self.config.as_deref(), &self.overrides)?;
        let dataset = dataset(&self.data, None, &self.columns.options())?;
        let vocab = captioner_vocab(&dataset, &config)?;
        let table = cider_table(&dataset, &vocab)?;
        // File by file: what else is in the folder stays.
        vocab.save(&self.out.join("vocab.json"))?;
        table.save(&self.out.join("cider.json"))?;
        eprintln!(
            "{} words, n-grams of the references of {} images -> {}",
            vocab.len() - 2,
            table.images(),
            self.out.display()
        );
        Ok(())
    }
}
