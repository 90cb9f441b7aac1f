//! Token embeddings that begin with the company the tokens keep.
//!
//! Words that stand between the same neighbours begin alike, so that a small text tower need not
//! spend its training on finding out what is a colour and what a verb. It is random indexing
//! (Kanerva et al. 2000) weighted with positive pointwise mutual information (Bullinaria and Levy
//! 2007): every frequent token has two random directions, one for standing before a token and one
//! for standing after it, and a token's embedding is the sum of its neighbours' directions, each
//! times `max(0, ln p(x, y) / (p(x) p(y)))`.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};

/// The most frequent tokens, which count as neighbours; what stands beside rare ones is chance.
const NEIGHBOURS: usize = 1500;

/// Standard deviation of the embeddings: large beside fresh weights, since they know something.
const DEVIATION: f64 = 0.1;

/// Embeddings of `tokens` ids from the texts they occur in, row by row; tokens that occur nowhere
/// get zeros. The last dimension is the logarithm of how often a token occurs.
///
/// # Shapes
/// - output: `[tokens, width]`
pub(crate) fn neighbour_embeddings(
    texts: &[Vec<u32>],
    tokens: usize,
    width: usize,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let mut counts = vec![0u32; tokens];
    // Ordered, so that sums are the same every time.
    let mut pairs: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for text in texts {
        text.iter().for_each(|&id| counts[id as usize] += 1);
        for pair in text.windows(2) {
            *pairs.entry((pair[0], pair[1])).or_default() += 1;
        }
    }
    let (mut before, mut after) = (vec![0.0f64; tokens], vec![0.0f64; tokens]);
    for (&(x, y), &n) in &pairs {
        before[x as usize] += f64::from(n);
        after[y as usize] += f64::from(n);
    }
    let all: f64 = before.iter().sum();

    let mut by_count: Vec<usize> = (0..tokens).collect();
    by_count.sort_by_key(|&id| (std::cmp::Reverse(counts[id]), id));
    let dimensions = width - 1;
    let mut directions: Vec<Option<[Vec<f64>; 2]>> = vec![None; tokens];
    for &id in by_count.iter().take(NEIGHBOURS).filter(|&&id| counts[id] > 0) {
        let mut direction =
            || (0..dimensions).map(|_| if rng.random() { 1.0 } else { -1.0 }).collect();
        directions[id] = Some([direction(), direction()]);
    }
    let mut rows = vec![vec![0.0f64; dimensions]; tokens];
    for (&(x, y), &n) in &pairs {
        let (x, y) = (x as usize, y as usize);
        let information = (f64::from(n) * all / (before[x] * after[y])).ln().max(0.0);
        for (token, neighbour, side) in [(y, x, 0), (x, y, 1)] {
            if let Some(directions) = &directions[neighbour] {
                let row = rows[token].iter_mut().zip(&directions[side]);
                row.for_each(|(sum, value)| *sum += information * value);
            }
        }
    }

    let seen: Vec<usize> = (0..tokens).filter(|&id| counts[id] > 0).collect();
    let square = |row: &Vec<f64>| row.iter().map(|v| v * v).sum::<f64>();
    let squares: f64 = seen.iter().map(|&id| square(&rows[id])).sum();
    let scale = DEVIATION / (squares / (seen.len() * dimensions).max(1) as f64).sqrt().max(1e-12);
    let logs: Vec<f64> = seen.iter().map(|&id| f64::from(counts[id]).ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
    let variance = logs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / logs.len().max(1) as f64;
    let mut embeddings = vec![0.0; tokens * width];
    for (&id, log) in seen.iter().zip(&logs) {
        let row = &mut embeddings[id * width..(id + 1) * width];
        for (to, from) in row.iter_mut().zip(&rows[id]) {
            *to = (from * scale) as f32;
        }
        row[width - 1] = ((log - mean) / variance.sqrt().max(1e-12) * DEVIATION) as f32;
    }
    embeddings
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn words_of_the_same_company_are_alike() {
        // 1 and 2 stand between 3 and 4; 5 stands between 6 and 7; 8 stands nowhere.
        let texts: Vec<Vec<u32>> =
            [[3, 1, 4], [3, 2, 4], [6, 5, 7]].iter().map(|text| text.to_vec()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let width = 64;
        let embeddings = neighbour_embeddings(&texts, 9, width, &mut rng);
        let row = |id: usize| &embeddings[id * width..(id + 1) * width - 1];
        assert!(cosine(row(1), row(2)) > 0.999);
        assert!(cosine(row(1), row(5)).abs() < 0.5);
        assert_eq!(row(8), [0.0; 63]);
        let squares: f32 = (1..8).flat_map(row).map(|v| v * v).sum();
        assert!(((squares / (7.0 * 63.0)).sqrt() - 0.1).abs() < 1e-3);
        // 3 and 4 are the frequent ones.
        assert!(embeddings[4 * width - 1] > 0.1 && embeddings[2 * width - 1] < 0.0);
    }
}
