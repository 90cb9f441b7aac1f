//! CLIP image and text encoders, tokenizer and preprocessing on Burn.
