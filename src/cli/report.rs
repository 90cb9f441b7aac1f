//! `finecap report`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

#[derive(Args)]
pub struct Report {
    /// Folders of runs; every evaluation.json in them and below is shown.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The HTML file; it holds everything and needs no network.
    #[arg(long, value_name = "HTML")]
    out: PathBuf,
    /// Most pictures to show.
    #[arg(long, default_value_t = finecap::report::PICTURES)]
    pictures: usize,
}

impl Report {
    pub fn run(self) -> Result<()> {
        finecap::report::write(&self.runs, self.pictures, &self.out)?;
        eprintln!("-> {}", self.out.display());
        Ok(())
    }
}
