//! Host-side randomness, keyed so that it depends on nothing but the key.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a random stream is for; streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Order of the images within an epoch; keyed by the epoch.
    Order = 1,
    /// Which captions of an image are used; keyed by the step.
    Captions = 2,
    /// Dropout on the device; keyed by the step.
    Dropout = 3,
    /// Fresh weights.
    Weights = 4,
    /// Captions and their broken versions that validation looks at.
    Validation = 5,
    /// Random negatives for next-word prediction; keyed by the step.
    Words = 6,
}

/// The generator of (seed, step, purpose): the same on every machine, whatever ran before.
pub fn stream(seed: u64, step: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([seed, step, purpose as u64, 0]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// One number of (seed, step, purpose), to seed a device with.
pub fn number(seed: u64, step: u64, purpose: Purpose) -> u64 {
    use rand::Rng;
    stream(seed, step, purpose).next_u64()
}
