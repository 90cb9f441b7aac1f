//! Making batches ahead of time, in order.

use std::ops::RangeInclusive;
use std::sync::mpsc::sync_channel;
use std::thread;

/// Batches that wait ready.
const AHEAD: usize = 2;

/// Runs `make` for every step on a thread of its own, a little ahead of `consume`.
///
/// One thread calls `make` step by step, so the order never depends on timing; `make` may use
/// all cores within a step.
pub fn prefetch<T: Send, R>(
    steps: RangeInclusive<usize>,
    make: impl Fn(usize) -> T + Send,
    consume: impl FnOnce(&mut dyn Iterator<Item = (usize, T)>) -> R,
) -> R {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            for step in steps {
                if sender.send((step, make(step))).is_err() {
                    // The consumer has stopped.
                    break;
                }
            }
        });
        consume(&mut receiver.into_iter())
    })
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn order_is_kept_and_an_early_stop_does_not_hang() {
        let all: Vec<_> = prefetch(3..=6, |step| step * 2, |batches| batches.collect());
        assert_eq!(all, [(3, 6), (4, 8), (5, 10), (6, 12)]);
        let first = prefetch(1..=1000, |step| step, |batches| batches.next());
        assert_eq!(first, Some((1, 1)));
    }
}
