//! Encoder-decoder captioning Transformer with cached decoding on Burn.
