//! How intervals are found.

use clap::Args;
use finecap::metrics::{Interval, MetricsError, bootstrap};

#[derive(Args)]
pub struct Resampling {
    /// Resamples of the images, for intervals and significance; 0 for none.
    #[arg(long, default_value_t = 1000)]
    pub resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Resampling {
    /// Bootstrap intervals of `numbers`, which are given the places of images below `n`; none
    /// without resamples.
    pub fn intervals(
        &self,
        n: usize,
        numbers: impl Fn(&[usize]) -> Vec<f64>,
    ) -> Result<Vec<Interval>, MetricsError> {
        match self.resamples {
            0 => Ok(Vec::new()),
            times => bootstrap(n, times, self.seed, numbers),
        }
    }
}
