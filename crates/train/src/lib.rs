//! Training phases, data, checkpoints and evaluation for finecap.
