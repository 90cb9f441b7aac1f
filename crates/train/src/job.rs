use std::path::Path;

use burn::tensor::Device;

use crate::config::Config;
use crate::data::Dataset;

/// What a training phase does with what it finds in the run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resume {
    /// The phase must not have been started: a folder that holds it is refused.
    #[default]
    Refuse,
    /// Goes on after the newest checkpoint of the phase; one that has not been started begins.
    GoOn,
}

impl From<bool> for Resume {
    /// What a `--resume` option means.
    fn from(resume: bool) -> Self {
        if resume { Self::GoOn } else { Self::Refuse }
    }
}

/// What every training phase is told: where, how, on what, and with which device.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use burn::tensor::Device;
/// use finecap_train::{Config, Dataset, Job, Resume, train_clip};
///
/// let (config, device) = (Config::read(None, &[])?, Device::default());
/// let dataset = Dataset::karpathy("captions.json".as_ref(), Some("pictures".as_ref()))?;
/// let job = Job::new("runs/first".as_ref(), &config, &dataset, &device);
/// let clip = train_clip(&Job { resume: Resume::GoOn, ..job }, None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Folder of the run; each phase has a folder of its own in it.
    pub run: &'a Path,
    /// The settings of all phases.
    pub config: &'a Config,
    /// The pictures and captions.
    pub dataset: &'a Dataset,
    /// Where to compute; phases turn gradients on themselves.
    pub device: &'a Device,
    /// Whether to go on with a phase that was stopped.
    pub resume: Resume,
}

impl<'a> Job<'a> {
    /// A job that begins anew.
    pub fn new(
        run: &'a Path,
        config: &'a Config,
        dataset: &'a Dataset,
        device: &'a Device,
    ) -> Self {
        Self { run, config, dataset, device, resume: Resume::Refuse }
    }
}
