//! What all metrics over a set of images share.

use crate::MetricsError;

/// One caption for each image, and at least one reference.
pub(crate) fn check_sizes<C, R>(
    candidates: &[C],
    references: &[impl AsRef<[R]>],
) -> Result<(), MetricsError> {
    if candidates.len() != references.len() {
        let (candidates, references) = (candidates.len(), references.len());
        return Err(MetricsError::Lengths { candidates, references });
    }
    if candidates.is_empty() {
        return Err(MetricsError::Empty);
    }
    match references.iter().position(|captions| captions.as_ref().is_empty()) {
        Some(image) => Err(MetricsError::NoReferences { image }),
        None => Ok(()),
    }
}

/// Mean over the images, of which there is at least one.
pub(crate) fn mean(per_image: &[f64]) -> f64 {
    per_image.iter().sum::<f64>() / per_image.len() as f64
}

/// Mean over the images at these places, of which there is at least one.
pub(crate) fn mean_of(per_image: &[f64], images: &[usize]) -> f64 {
    images.iter().map(|&image| per_image[image]).sum::<f64>() / images.len() as f64
}

/// Three images that pycocoevalcap has scored.
#[cfg(test)]
pub(crate) mod example {
    pub(crate) const CAPTIONS: [&str; 3] = ["a man surfing on a wave", "a cat on a couch", "dog"];
    pub(crate) const REFERENCES: [[&str; 3]; 3] = [
        [
            "a man riding a wave on top of a surfboard",
            "a surfer rides a large wave",
            "man on a surf board riding an ocean wave",
        ],
        ["a cat sitting on a red couch", "a cat is on the sofa", "the cat rests on a couch"],
        [
            "two dogs play with a ball in the grass",
            "dogs playing on a lawn",
            "two dogs chase a ball",
        ],
    ];
}
