//! Gradients of a batch in parts, at the same time.
//!
//! A CPU backend hardly gains from several threads on the small matrices of a small model; whole
//! parts of a batch side by side use every core.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::TrainError;

/// Threads that stay alive between steps, each a pool of its own, so that what a backend does in
/// parallel stays on the thread of its part.
pub(crate) struct Threads(Vec<ThreadPool>);

impl Threads {
    /// `count` of at least 1; a single one is the calling thread with all that the backend starts.
    ///
    /// # Errors
    /// Where the system has no more threads to give.
    pub(crate) fn new(count: usize) -> Result<Self, ThreadPoolBuildError> {
        let one = || ThreadPoolBuilder::new().num_threads(1).build();
        let pools: Result<Vec<_>, _> =
            if count > 1 { (0..count).map(|_| one()).collect() } else { Ok(Vec::new()) };
        Ok(Self(pools?))
    }
}

/// The sum of the gradients of the parts' losses, and what else `loss` gives, part by part. The
/// sum depends on the number of parts, by rounding, but not on which of them is done first.
///
/// # Errors
/// The first one of `loss`.
pub(crate) fn gradients<M, P, T>(
    model: &M,
    threads: &Threads,
    parts: Vec<P>,
    loss: impl Fn(&M, P) -> Result<(Tensor<1>, T), TrainError> + Sync,
) -> Result<(GradientsParams, Vec<T>), TrainError>
where
    M: Module + Send,
    P: Send,
    T: Send,
{
    let of_part = |model: M, part: P| {
        let (loss, numbers) = loss(&model, part)?;
        Ok((GradientsParams::from_grads(loss.backward(), &model), numbers))
    };
    let done: Vec<Result<_, TrainError>> = if parts.len() > 1 {
        // Graphs that share a parameter would wait for each other. The copies are made of a model
        // without graph: copying a parameter in a graph would add to that graph at every step.
        let (plain, device) = (model.valid(), &model.devices()[0]);
        std::thread::scope(|scope| {
            let running: Vec<_> = (parts.into_iter().zip(&threads.0))
                .map(|(part, pool)| {
                    let model = plain.clone().fork(device).train();
                    scope.spawn(move || pool.install(|| of_part(model, part)))
                })
                .collect();
            // A part panics where its device fails; the caller then does so with the same message.
            let join = |part: std::thread::ScopedJoinHandle<_>| {
                part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(join).collect()
        })
    } else {
        parts.into_iter().map(|part| of_part(model.clone(), part)).collect()
    };
    let mut sum = GradientsAccumulator::new();
    let mut all = Vec::new();
    for part in done {
        let (gradients, numbers) = part?;
        sum.accumulate(model, gradients);
        all.push(numbers);
    }
    Ok((sum.grads(), all))
}
