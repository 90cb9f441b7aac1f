//! Ending long work early, at a place from which it can go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The flag that asks all training and all extraction of features in this process to stop, as a
/// handler of Ctrl-C sets it: the step that runs is finished, a checkpoint is written, and the work
/// ends with [`TrainError::Stopped`](crate::TrainError::Stopped).
pub fn stop_flag() -> Arc<AtomicBool> {
    STOP.clone()
}

pub(crate) fn is_asked_to_stop() -> bool {
    STOP.load(Ordering::Relaxed)
}
