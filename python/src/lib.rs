//! `finecap._finecap`: the part of the Python package that computes. What users see is in `finecap/*.py`.

mod captioner;
mod clip;
mod metrics;
mod pictures;
mod reward;
mod work;

/// Computes what `finecap` offers to Python.
#[pyo3::pymodule]
mod _finecap {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::captioner::Captioner;
    #[pymodule_export]
    use crate::clip::{Clip, GrammarHead};
    #[pymodule_export]
    use crate::metrics::{
        Frequencies, Meteor, bleu, cider_d, evaluate, fine_cap_eval, meteor, ptb_tokenize,
        retrieval, rouge_l, statistics,
    };
    #[pymodule_export]
    use crate::reward::advantages;

    /// Runs the `finecap` command and returns its exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
        py.detach(|| finecap::cli::main(arguments))
    }
}
