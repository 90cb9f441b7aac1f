//! Fine-grained image captioning with CLIP rewards.
