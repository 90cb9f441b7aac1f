use rand::seq::SliceRandom;

use crate::seeds::{Purpose, stream};

/// The images in the order in which `epoch` visits them: a function of seed and epoch alone.
pub fn epoch_order(images: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut order = images.to_vec();
    order.shuffle(&mut stream(seed, epoch, Purpose::Order));
    order
}

/// The images of `step` (from 0): epochs follow each other without a gap, so that every batch is
/// full and any step can be found without running those before it.
pub(crate) fn batch(images: &[usize], seed: u64, step: usize, size: usize) -> Vec<usize> {
    let first = step * size;
    let mut batch = Vec::with_capacity(size);
    while batch.len() < size {
        let at = first + batch.len();
        let order = epoch_order(images, seed, (at / images.len()) as u64);
        let offset = at % images.len();
        let take = (size - batch.len()).min(images.len() - offset);
        batch.extend_from_slice(&order[offset..offset + take]);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_image_once() {
        let images: Vec<usize> = (10..33).collect();
        let mut seen: Vec<usize> = (0..23).flat_map(|step| batch(&images, 7, step, 4)).collect();
        assert_eq!(seen.len(), 4 * 23);
        for epoch in seen.chunks_mut(23) {
            epoch.sort_unstable();
            assert_eq!(epoch, images);
        }
        assert_ne!(epoch_order(&images, 7, 0), epoch_order(&images, 7, 1));
        assert_ne!(epoch_order(&images, 7, 0), epoch_order(&images, 8, 0));
    }

    #[test]
    fn a_batch_may_be_larger_than_the_data_set() {
        assert_eq!(batch(&[5, 6], 1, 0, 5).len(), 5);
    }
}
