//! Captions, images and their names, from the files that people have. No tensors.
