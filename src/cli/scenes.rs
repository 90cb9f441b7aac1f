//! `finecap scenes`

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use finecap::scenes::{ScenesConfig, export, generate};
use finecap::train::Progress;

#[derive(Args)]
pub struct Scenes {
    /// Folder to write; must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the data set.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Training scenes.
    #[arg(long, default_value_t = ScenesConfig::default().train)]
    train: usize,
    /// Validation scenes.
    #[arg(long, default_value_t = ScenesConfig::default().val)]
    val: usize,
    /// Test scenes.
    #[arg(long, default_value_t = ScenesConfig::default().test)]
    test: usize,
    /// Side of the pictures in pixels.
    #[arg(long, default_value_t = ScenesConfig::default().image_size)]
    size: u32,
}

impl Scenes {
    pub fn run(self) -> Result<()> {
        let config = ScenesConfig {
            seed: self.seed,
            train: self.train,
            val: self.val,
            test: self.test,
            image_size: self.size,
            ..ScenesConfig::default()
        };
        let records = generate(&config)?;
        let mut progress = Progress::new("scenes", 0, records.len());
        export(&records, self.size, &self.out, &mut |done, _| progress.set(done, String::new))?;
        progress.finish(&format!("-> {}", self.out.display()));
        Ok(())
    }
}
