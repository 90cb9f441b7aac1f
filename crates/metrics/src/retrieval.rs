//! Ranks and recalls of retrieval.

use crate::MetricsError;

/// What a tie with the right answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// The middle of the ranks that the tied items share, rounded up: nobody gains by giving all
    /// pictures the same caption.
    #[default]
    Fair,
    /// Later items first, as `argsort()[::-1]` in the reference's evaluation.
    LaterFirst,
}

/// Ranks of the right answers, best 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks(Vec<usize>);

impl Ranks {
    /// Ranks the answer `targets[i]` among the columns of row `i`.
    ///
    /// Rows may be given in blocks, one call each, so that a large similarity matrix need never
    /// exist as a whole; see [`Ranks::extend`].
    ///
    /// # Shapes
    /// - similarities: `[targets.len(), columns]`, row by row
    ///
    /// # Errors
    /// [`MetricsError::Shape`] and [`MetricsError::NotANumber`].
    pub fn new(
        similarities: &[f32],
        columns: usize,
        targets: &[usize],
        ties: Ties,
    ) -> Result<Self, MetricsError> {
        let shape =
            MetricsError::Shape { values: similarities.len(), rows: targets.len(), columns };
        if columns == 0
            || similarities.len() != targets.len() * columns
            || targets.iter().any(|&target| target >= columns)
        {
            return Err(shape);
        }
        let mut ranks = Vec::with_capacity(targets.len());
        for (row, (values, &target)) in similarities.chunks(columns).zip(targets).enumerate() {
            if let Some(column) = values.iter().position(|value| value.is_nan()) {
                return Err(MetricsError::NotANumber { row, column });
            }
            let own = values[target];
            let greater = values.iter().filter(|&&value| value > own).count();
            let tied = |(column, value): (usize, &f32)| *value == own && column != target;
            let before = match ties {
                Ties::Fair => values.iter().enumerate().filter(|&i| tied(i)).count().div_ceil(2),
                Ties::LaterFirst => {
                    values.iter().enumerate().skip(target + 1).filter(|&i| tied(i)).count()
                }
            };
            ranks.push(1 + greater + before);
        }
        Ok(Self(ranks))
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

    /// Median rank: the lower middle one of an even number.
    pub fn median(&self) -> usize {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }

    /// Mean rank.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<usize>() as f64 / self.0.len().max(1) as f64
    }
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
        assert_eq!((ranks.recall(3), ranks.median(), ranks.mean()), (100.0, 3, 7.0 / 3.0));
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
    fn blocks_add_up_to_the_whole() {
        let similarities: Vec<f32> = (0..20).map(|i| ((i * 7) % 11) as f32).collect();
        let targets = [4, 0, 2, 1];
        let whole = Ranks::new(&similarities, 5, &targets, Ties::Fair).unwrap();
        let mut blocks = Ranks::new(&similarities[..10], 5, &targets[..2], Ties::Fair).unwrap();
        blocks.extend(Ranks::new(&similarities[10..], 5, &targets[2..], Ties::Fair).unwrap());
        assert_eq!(whole, blocks);
    }

    #[test]
    fn bad_input_is_an_error() {
        let nan = Ranks::new(&[0.0, f32::NAN], 2, &[0], Ties::Fair).unwrap_err();
        assert_eq!(nan, MetricsError::NotANumber { row: 0, column: 1 });
        assert!(Ranks::new(&[0.0; 3], 2, &[0], Ties::Fair).is_err());
        assert!(Ranks::new(&[0.0; 2], 2, &[2], Ties::Fair).is_err());
    }
}
