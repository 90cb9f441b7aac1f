//! Ranks of right answers, and recall.

use std::slice::from_ref;

use crate::MetricsError;

/// What wrong answers count that are exactly as similar as the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// Half of them, rounded up, stand before the right answer: nobody gains by giving all
    /// pictures the same caption. With `g` more similar and `t` equally similar wrong answers the
    /// rank is `1 + g + ⌈t / 2⌉`, a whole number, so that recall stays a share of answers.
    #[default]
    Fair,
    /// Later items first, as the paper's evaluation sorts (`argsort()[::-1]`, with a stable sort):
    /// of the equally similar wrong answers, those of a later column stand before the right one.
    LaterFirst,
}

/// Ranks of the right answers, best 1.
///
/// A row of similarities asks, its columns answer: rows are captions and columns images for
/// text-to-image retrieval, the other way round for image-to-text retrieval. Rows may come in
/// blocks, one call each, joined by [`Ranks::extend`], so that a large matrix need never exist as
/// a whole.
///
/// ```
/// # use finecap_metrics::{MetricsError, Ranks, Ties};
/// # fn main() -> Result<(), MetricsError> {
/// // Two images and three captions, the last two of the second image.
/// let captions_by_images = [0.9, 0.2, 0.6, 0.3, 0.1, 0.8];
/// let text_to_image = Ranks::new(&captions_by_images, 2, &[0, 1, 1], Ties::Fair)?;
/// assert_eq!(text_to_image.as_slice(), [1, 2, 1]);
/// let images_by_captions = [0.9, 0.6, 0.1, 0.2, 0.3, 0.8];
/// let image_to_text =
///     Ranks::of_best(&images_by_captions, 3, &[vec![0], vec![1, 2]], Ties::Fair)?;
/// assert_eq!(image_to_text.recall(1), 100.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranks(Vec<usize>);

impl Ranks {
    /// Ranks the answer `targets[i]` among the columns of row `i`.
    ///
    /// # Shapes
    /// - similarities: `[targets.len(), columns]`, row by row
    ///
    /// # Errors
    /// [`MetricsError::Shape`], [`MetricsError::NoTarget`] and [`MetricsError::NotANumber`].
    pub fn new(
        similarities: &[f32],
        columns: usize,
        targets: &[usize],
        ties: Ties,
    ) -> Result<Self, MetricsError> {
        let rows: Vec<&[usize]> = targets.iter().map(from_ref).collect();
        Self::of_best(similarities, columns, &rows, ties)
    }

    /// Ranks the most similar of several right answers of each row, say the captions of an image;
    /// the other right answers do not count against it.
    ///
    /// # Shapes
    /// - similarities: `[targets.len(), columns]`, row by row
    ///
    /// # Errors
    /// [`MetricsError::Shape`], [`MetricsError::NoTarget`] (also for a row without any right
    /// answer) and [`MetricsError::NotANumber`].
    pub fn of_best(
        similarities: &[f32],
        columns: usize,
        targets: &[impl AsRef<[usize]>],
        ties: Ties,
    ) -> Result<Self, MetricsError> {
        let (values, rows) = (similarities.len(), targets.len());
        if columns == 0 || rows.checked_mul(columns) != Some(values) {
            return Err(MetricsError::Shape { values, rows, columns });
        }
        let ranks = similarities.chunks(columns).zip(targets).enumerate().map(
            |(row, (values, targets))| {
                if let Some(column) = values.iter().position(|value| value.is_nan()) {
                    return Err(MetricsError::NotANumber { row, column });
                }
                rank(values, targets.as_ref(), ties).ok_or(MetricsError::NoTarget { row, columns })
            },
        );
        Ok(Self(ranks.collect::<Result<_, _>>()?))
    }

    /// Appends the ranks of another block.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Every rank, in order.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// Percentage of answers among the first `k`; 0 without any answers.
    pub fn recall(&self, k: usize) -> f64 {
        let hits = self.0.iter().filter(|&&rank| rank <= k).count();
        100.0 * hits as f64 / self.0.len().max(1) as f64
    }

    /// Median rank: the mean of the two middle ones of an even number; 0 without any answers.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let (lower, upper) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        let middle = sorted.get(lower..=upper).unwrap_or(&[]);
        middle.iter().sum::<usize>() as f64 / middle.len().max(1) as f64
    }

    /// Mean rank; 0 without any answers.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<usize>() as f64 / self.0.len().max(1) as f64
    }
}

/// Rank of the best target; nothing if there is no target or one beyond the columns.
fn rank(values: &[f32], targets: &[usize], ties: Ties) -> Option<usize> {
    // The most similar target and, of equally similar ones, the latest.
    let mut best: Option<(f32, usize)> = None;
    for &target in targets {
        let own = (*values.get(target)?, target);
        if best.is_none_or(|best| own > best) {
            best = Some(own);
        }
    }
    let (own, latest) = best?;
    // No target is more similar than the best one, so these are wrong answers only.
    let greater = values.iter().filter(|&&value| value > own).count();
    let tied = |from: usize| values[from..].iter().filter(|&&value| value == own).count();
    let before = match ties {
        Ties::Fair => {
            let mut right: Vec<usize> =
                targets.iter().copied().filter(|&target| values[target] == own).collect();
            right.sort_unstable();
            right.dedup();
            (tied(0) - right.len()).div_ceil(2)
        }
        Ties::LaterFirst => tied(latest + 1),
    };
    Some(1 + greater + before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_what_is_better() {
        let similarities = [0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.7, 0.6, 0.4];
        let ranks = Ranks::new(&similarities, 3, &[0, 0, 2], Ties::Fair).unwrap();
        assert_eq!(ranks.as_slice(), [1, 3, 3]);
        assert!((ranks.recall(1) - 100.0 / 3.0).abs() < 1e-12);
        assert_eq!((ranks.recall(3), ranks.median(), ranks.mean()), (100.0, 3.0, 7.0 / 3.0));
    }

    #[test]
    fn equal_similarities_earn_nothing() {
        let fair = |n: usize| {
            let targets: Vec<usize> = (0..n).collect();
            Ranks::new(&vec![0.5; n * n], n, &targets, Ties::Fair).unwrap()
        };
        assert_eq!(fair(4).as_slice(), [3, 3, 3, 3]);
        assert_eq!(fair(1).as_slice(), [1]);
        let later = Ranks::new(&[0.5; 9], 3, &[0, 1, 2], Ties::LaterFirst).unwrap();
        assert_eq!(later.as_slice(), [3, 2, 1]);
    }

    #[test]
    fn right_answers_do_not_stand_in_each_others_way() {
        let row = [0.5, 0.9, 0.7, 0.7, 0.7];
        let best = |targets: &[usize], ties| {
            Ranks::of_best(&row, 5, &[targets], ties).unwrap().as_slice()[0]
        };
        assert_eq!(best(&[0, 2, 3], Ties::Fair), 3);
        assert_eq!(best(&[3, 3, 2], Ties::LaterFirst), 3);
        assert_eq!(best(&[4, 2], Ties::LaterFirst), 2);
        assert_eq!(best(&[2, 2, 3, 4], Ties::Fair), 2);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Ranks(vec![9, 1, 4, 2]).median(), 3.0);
        let none = Ranks::new(&[], 3, &[], Ties::Fair).unwrap();
        assert_eq!((none.median(), none.mean(), none.recall(1)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn bad_input_is_an_error() {
        let nan = Ranks::new(&[0.0, f32::NAN], 2, &[0], Ties::Fair).unwrap_err();
        assert_eq!(nan, MetricsError::NotANumber { row: 0, column: 1 });
        let shape = Ranks::new(&[0.0; 3], 2, &[0], Ties::Fair).unwrap_err();
        assert_eq!(shape, MetricsError::Shape { values: 3, rows: 1, columns: 2 });
        assert!(Ranks::new(&[], 0, &[0], Ties::Fair).is_err());
        let missing = MetricsError::NoTarget { row: 1, columns: 2 };
        assert_eq!(Ranks::new(&[0.0; 4], 2, &[1, 2], Ties::Fair).unwrap_err(), missing);
        let none = Ranks::of_best(&[0.0; 4], 2, &[vec![0], vec![]], Ties::Fair);
        assert_eq!(none.unwrap_err(), missing);
    }
}
