//! Retrieval between two sets of embeddings.

use crate::{MetricsError, Ranks, Ties};

/// Similarities held at a time, at most, unless one row has more.
const BLOCK: usize = 1 << 21;

/// How well images and texts find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieval {
    /// Rank of its own image among all images, for every text.
    pub text_to_image: Ranks,
    /// Rank of the best of its own texts among all texts, for every image.
    pub image_to_text: Ranks,
}

/// Ranks by inner products, which are cosines for embeddings of length 1. An image may have several
/// texts, and has at least one.
///
/// Only some rows of the matrix of similarities exist at a time, so that memory grows with the
/// embeddings and not with their product.
///
/// # Shapes
/// - images: `[M, E]`, texts: `[N, E]`, row by row, with `E` the `width`
/// - image_of_text: `[N]`, places of images
///
/// ```
/// # use finecap_metrics::{MetricsError, Ties, retrieval};
/// # fn main() -> Result<(), MetricsError> {
/// let images = [1.0, 0.0, 0.0, 1.0];
/// let texts = [0.8, 0.6, 0.6, 0.8, 0.9, 0.1];
/// let found = retrieval(&images, &texts, 2, &[0, 1, 1], Ties::Fair)?;
/// assert_eq!(found.text_to_image.as_slice(), [1, 1, 2]);
/// assert_eq!(found.image_to_text.as_slice(), [2, 1]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`MetricsError::Shape`] for values that are not rows of `width`, [`MetricsError::Lengths`] for
/// texts whose images are not given one by one, [`MetricsError::NoTarget`] for a text of no image
/// or an image without text, [`MetricsError::NotANumber`], [`MetricsError::Empty`].
pub fn retrieval(
    images: &[f32],
    texts: &[f32],
    width: usize,
    image_of_text: &[usize],
    ties: Ties,
) -> Result<Retrieval, MetricsError> {
    let (m, n) = (rows(images, width)?, rows(texts, width)?);
    if n != image_of_text.len() {
        return Err(MetricsError::Lengths { candidates: n, references: image_of_text.len() });
    }
    let mut texts_of_image = vec![Vec::new(); m];
    for (row, &image) in image_of_text.iter().enumerate() {
        let own = texts_of_image.get_mut(image);
        own.ok_or(MetricsError::NoTarget { row, columns: m })?.push(row);
    }
    let own_image: Vec<[usize; 1]> = image_of_text.iter().map(|&image| [image]).collect();
    Ok(Retrieval {
        text_to_image: ranks(texts, images, width, &own_image, ties)?,
        image_to_text: ranks(images, texts, width, &texts_of_image, ties)?,
    })
}

fn rows(values: &[f32], width: usize) -> Result<usize, MetricsError> {
    match values.len().checked_div(width) {
        Some(0) => Err(MetricsError::Empty),
        Some(rows) if rows * width == values.len() => Ok(rows),
        rows => {
            let (values, rows) = (values.len(), rows.unwrap_or(0));
            Err(MetricsError::Shape { values, rows, columns: width })
        }
    }
}

/// Ranks of the right answers to questions, one block of questions after another.
fn ranks(
    questions: &[f32],
    answers: &[f32],
    width: usize,
    targets: &[impl AsRef<[usize]>],
    ties: Ties,
) -> Result<Ranks, MetricsError> {
    let columns = answers.len() / width;
    let block = (BLOCK / columns).max(1);
    let mut similarities = Vec::new();
    let mut all = Ranks::default();
    let blocks = questions.chunks(block * width).zip(targets.chunks(block));
    for (start, (questions, targets)) in (0..).step_by(block).zip(blocks) {
        similarities.resize(targets.len() * columns, 0.0);
        products(questions, answers, width, &mut similarities);
        let found = Ranks::of_best(&similarities, columns, targets, ties);
        all.extend(found.map_err(|error| within(error, start))?);
    }
    Ok(all)
}

/// `output[i, j]` becomes the inner product of question `i` and answer `j`.
fn products(questions: &[f32], answers: &[f32], width: usize, output: &mut [f32]) {
    let (q, a) = (questions.len() / width, answers.len() / width);
    assert_eq!(output.len(), q * a);
    let (width, stride, columns) = (width, width as isize, a as isize);
    // SAFETY: the strides stay inside the slices, which hold `q × width` and `a × width` values;
    // the output holds `q × a`, as was checked, and nothing else refers to it.
    unsafe {
        matrixmultiply::sgemm(
            q,
            width,
            a,
            1.0,
            questions.as_ptr(),
            stride,
            1,
            answers.as_ptr(),
            1,
            stride,
            0.0,
            output.as_mut_ptr(),
            columns,
            1,
        );
    }
}

/// An error about a row of a block, about the row of the whole.
fn within(error: MetricsError, start: usize) -> MetricsError {
    match error {
        MetricsError::NotANumber { row, column } => {
            MetricsError::NotANumber { row: row + start, column }
        }
        MetricsError::NoTarget { row, columns } => {
            MetricsError::NoTarget { row: row + start, columns }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_rank_as_the_whole_does() {
        // Small whole numbers, so that products are exact and ties real.
        let value = |i: usize| ((i * 7919 + i / 3) % 5) as f32 - 2.0;
        let (m, n, width) = (1500, 3000, 3);
        let images: Vec<f32> = (0..m * width).map(value).collect();
        let texts: Vec<f32> = (0..n * width).map(|i| value(i + 1)).collect();
        let image_of_text: Vec<usize> = (0..n).map(|text| text % m).collect();
        assert!(m * n > 2 * BLOCK);
        let mut whole = vec![0.0; n * m];
        for (i, row) in whole.chunks_mut(m).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value = (0..width).map(|k| texts[i * width + k] * images[j * width + k]).sum();
            }
        }
        for ties in [Ties::Fair, Ties::LaterFirst] {
            let found = retrieval(&images, &texts, width, &image_of_text, ties).unwrap();
            assert_eq!(found.text_to_image, Ranks::new(&whole, m, &image_of_text, ties).unwrap());
            let turned: Vec<f32> =
                (0..m).flat_map(|j| whole.iter().skip(j).step_by(m)).copied().collect();
            let own: Vec<[usize; 2]> = (0..m).map(|image| [image, image + m]).collect();
            let expected = Ranks::of_best(&turned, n, &own, ties).unwrap();
            assert_eq!(found.image_to_text, expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let of = |images: &[f32], texts: &[f32], own: &[usize]| {
            retrieval(images, texts, 2, own, Ties::Fair).unwrap_err()
        };
        let two = [1.0, 0.0, 0.0, 1.0];
        let error = of(&two[..3], &two, &[0, 1]);
        assert_eq!(error, MetricsError::Shape { values: 3, rows: 1, columns: 2 });
        assert_eq!(of(&[], &two, &[0, 1]), MetricsError::Empty);
        assert_eq!(of(&two, &two, &[0]), MetricsError::Lengths { candidates: 2, references: 1 });
        assert_eq!(of(&two, &two, &[0, 2]), MetricsError::NoTarget { row: 1, columns: 2 });
        assert_eq!(of(&two, &two, &[1, 1]), MetricsError::NoTarget { row: 0, columns: 2 });
        let broken = [1.0, 0.0, f32::NAN, 1.0];
        assert_eq!(of(&two, &broken, &[0, 1]), MetricsError::NotANumber { row: 1, column: 0 });
        assert!(retrieval(&[], &[], 0, &[], Ties::Fair).is_err());
    }
}
