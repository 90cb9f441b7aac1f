//! Properties of the whole model.
