//! How far a score would move with other images: the percentile bootstrap (Efron 1979).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::MetricsError;

/// What resampling says about one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower bound of the central 95 %.
    pub low: f64,
    /// Upper bound of the central 95 %.
    pub high: f64,
    /// Two-sided significance: twice the smaller of `(k + 1) / (n + 1)` for the `k` of `n`
    /// resamples at or below 0 and for those at or above it, at most 1. The set itself counts as
    /// one of the resamples (Davison and Hinkley 1997, equation 4.11), so that `p` is never 0. For
    /// the difference of two systems on the same images this is the paired bootstrap test (Koehn
    /// 2004): small means that the difference is no accident of the images.
    pub p: f64,
}

/// Intervals of numbers that belong to a set of `n` images: `numbers` is asked for each of `times`
/// resamples of `n` images, drawn with replacement, and must always give as many numbers.
///
/// The same seed gives the same intervals.
///
/// ```
/// # fn main() -> Result<(), finecap_metrics::MetricsError> {
/// let scores: Vec<f64> = (0..200).map(|image| f64::from(image % 10)).collect();
/// let mean = |images: &[usize]| {
///     vec![images.iter().map(|&image| scores[image]).sum::<f64>() / images.len() as f64]
/// };
/// let interval = finecap_metrics::bootstrap(scores.len(), 1000, 1, mean)?[0];
/// assert!(interval.low < 4.5 && 4.5 < interval.high && interval.high - interval.low < 1.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`MetricsError::Empty`] without images or resamples.
pub fn bootstrap(
    n: usize,
    times: usize,
    seed: u64,
    numbers: impl Fn(&[usize]) -> Vec<f64>,
) -> Result<Vec<Interval>, MetricsError> {
    if n == 0 || times == 0 {
        return Err(MetricsError::Empty);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut images = vec![0; n];
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for _ in 0..times {
        images.fill_with(|| rng.random_range(0..n));
        let row = numbers(&images);
        columns.resize_with(row.len(), Vec::new);
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    Ok(columns.into_iter().map(interval).collect())
}

fn interval(mut values: Vec<f64>) -> Interval {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    // As many resamples lie below the lower bound as above the upper one.
    let outside = (0.025 * n as f64).floor() as usize;
    let share = |count: usize| (count + 1) as f64 / (n + 1) as f64;
    let below = share(values.iter().filter(|value| **value <= 0.0).count());
    let above = share(values.iter().filter(|value| **value >= 0.0).count());
    Interval {
        low: values[outside],
        high: values[n - 1 - outside],
        p: (2.0 * below.min(above)).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[f64]) -> impl Fn(&[usize]) -> Vec<f64> {
        |images| vec![images.iter().map(|&i| values[i]).sum::<f64>() / images.len() as f64]
    }

    #[test]
    fn bounds_leave_as_much_on_either_side() {
        let found = interval((1..=200).rev().map(f64::from).collect());
        assert_eq!((found.low, found.high, found.p), (6.0, 195.0, 2.0 / 201.0));
        assert_eq!(interval(vec![-1.0, 0.0, 1.0, 2.0]).p, 1.0);
        assert_eq!(interval(vec![-1.0, 1.0, 1.0, 2.0]).p, 0.8);
    }

    #[test]
    fn the_width_is_that_of_the_normal_distribution() {
        // Half zeros, half ones: a standard error of 0.5 / sqrt(400) = 0.025.
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let found = bootstrap(400, 4000, 3, mean_of(&values)).unwrap()[0];
        let expected = 1.96 * 0.025;
        assert!((found.high - 0.5 - expected).abs() < 0.004, "{found:?}");
        assert!((0.5 - found.low - expected).abs() < 0.004, "{found:?}");
    }

    #[test]
    fn a_difference_is_significant_where_the_images_agree() {
        let always = vec![0.1; 50];
        assert_eq!(bootstrap(50, 1000, 1, mean_of(&always)).unwrap()[0].p, 2.0 / 1001.0);
        let never: Vec<f64> = (0..50).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        assert!(bootstrap(50, 1000, 1, mean_of(&never)).unwrap()[0].p > 0.5);
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i * i)).collect();
        let of = |seed| bootstrap(30, 100, seed, mean_of(&values)).unwrap()[0];
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(bootstrap(0, 10, 1, mean_of(&[])), Err(MetricsError::Empty));
    }
}
