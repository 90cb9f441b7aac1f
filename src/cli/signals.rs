//! Ctrl-C and SIGTERM: work that can go on later ends at its next good place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use finecap::train::stop_flag;

/// The exit code that a signal asks for; 0 where there was none.
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From now on the first signal asks work to stop, and a second one ends the process at once. A
    /// reader of the output that goes away ends nothing.
    pub fn handle() -> Self {
        let code = Arc::new(AtomicUsize::new(0));
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGINT, SIGTERM};
            use signal_hook::flag;
            for (signal, exit) in [(SIGINT, 130), (SIGTERM, 143)] {
                let stop = stop_flag();
                // In this order: the first signal finds the flag down.
                let _ = flag::register_conditional_shutdown(signal, exit, stop.clone())
                    .and_then(|_| flag::register_usize(signal, code.clone(), exit as usize))
                    .and_then(|_| flag::register(signal, stop));
            }
            // SAFETY: this action needs no handler.
            unsafe {
                libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            }
        }
        Self(code)
    }

    /// What the process must end with after it was stopped.
    pub fn exit_code(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code as u8),
        }
    }
}
