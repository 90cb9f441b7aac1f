//! A generated captioning data set with an exact judge.
