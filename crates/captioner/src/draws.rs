use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where the random numbers of sampled captions come from.
///
/// Every caption has a generator of its own, keyed by the seed, the step, its image and its
/// number among the image's samples. The draws therefore depend neither on the device, nor on
/// threads, nor on which other images are in the batch.
#[derive(Debug, Clone, Copy)]
pub struct Draws<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The training step, or any number that tells two rounds of sampling apart.
    pub step: u64,
    /// One key per image of the batch, for instance its place in the data set.
    pub images: &'a [u64],
}

impl Draws<'_> {
    /// One number in `[0, 1)` per step and sample: `[steps, B·samples]`, image-major.
    ///
    /// Numbers have 23 bits, so that `u·total < total` holds in `f32` for every positive total.
    pub(crate) fn uniforms(&self, samples: usize, steps: usize) -> Vec<f32> {
        let rows = self.images.len() * samples;
        let mut uniforms = vec![0.0; steps * rows];
        for (image, &key) in self.images.iter().enumerate() {
            for sample in 0..samples {
                let mut generator = self.generator(key, sample as u64);
                for step in 0..steps {
                    uniforms[step * rows + image * samples + sample] =
                        (generator.next_u32() >> 9) as f32 / (1u32 << 23) as f32;
                }
            }
        }
        uniforms
    }

    fn generator(&self, image: u64, sample: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        let parts = [self.seed, self.step, image, sample];
        for (bytes, part) in key.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_depends_on_its_own_keys_only() {
        let all = Draws { seed: 1, step: 2, images: &[7, 9] }.uniforms(3, 4);
        let one = Draws { seed: 1, step: 2, images: &[9] }.uniforms(2, 6);
        for step in 0..4 {
            assert_eq!(all[step * 6 + 3..step * 6 + 5], one[step * 2..step * 2 + 2]);
        }
        assert!(all.iter().all(|u| (0.0..1.0).contains(u)));
    }

    #[test]
    fn every_part_of_the_key_matters() {
        let draw = |seed, step, image| Draws { seed, step, images: &[image] }.uniforms(2, 1);
        let base = draw(1, 2, 3);
        assert_ne!(base[0], base[1]);
        for other in [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_largest_draw_stays_below_every_total() {
        let largest = ((1u32 << 23) - 1) as f32 / (1u32 << 23) as f32;
        for bits in (1..0x7f00_0000u32).step_by(65_537) {
            let total = f32::from_bits(bits);
            if total.is_normal() {
                assert!(largest * total < total, "{total:e}");
            }
        }
    }
}
