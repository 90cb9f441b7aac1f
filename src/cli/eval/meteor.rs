//! Where METEOR's data are.

use std::path::PathBuf;

use clap::Args;
use finecap::metrics::{Meteor, MetricsError};

#[derive(Args)]
pub struct MeteorData {
    /// Folder with METEOR 1.5's own data, meteor-1.5.jar and data/paraphrase-en.gz, as in
    /// pycocoevalcap's wheel. Without it the environment variable FINECAP_METEOR_DATA is read.
    #[arg(long, value_name = "DIR")]
    meteor_data: Option<PathBuf>,
}

impl MeteorData {
    /// METEOR, where its data were named.
    pub fn load(&self) -> Result<Option<Meteor>, MetricsError> {
        let dir = (self.meteor_data.clone())
            .or_else(|| std::env::var_os("FINECAP_METEOR_DATA").map(PathBuf::from));
        dir.as_deref().map(Meteor::load).transpose()
    }
}
