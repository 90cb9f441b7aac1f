use std::path::PathBuf;

use crate::feature_spec::FeatureDifference;

/// Everything that can go wrong in this crate; each message is one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptionerError {
    /// A field of [`CaptionerConfig`](crate::CaptionerConfig) has a value no model can have.
    #[error("the captioner config field `{field}` must be {rule}, but it is {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// What the field must be.
        rule: String,
        /// What it is.
        found: String,
    },
    /// A field of [`Decoding`](crate::Decoding) has a value that cannot be decoded with.
    #[error("the decoding setting `{field}` must be {rule}, but it is {found}")]
    Decoding {
        /// The setting's name.
        field: &'static str,
        /// What the setting must be.
        rule: String,
        /// What it is.
        found: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// `read`, `write` or `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A JSON file is not what it should be.
    #[error("`{}` is not a valid {what}: {reason}", path.display())]
    Json {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field or place.
        reason: String,
    },
    /// A weights file does not fit the model that its config describes.
    #[error("the weights in `{}` do not fit the model: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The tensor that does not fit, and the nearest name where one is close.
        reason: String,
    },
    /// A file or folder could not be written.
    #[error(transparent)]
    Files(#[from] finecap_files::FilesError),
    /// A weight file could not be read.
    #[error(transparent)]
    File(#[from] finecap_weights::WeightsError),
    /// A vocabulary is not the one a model was trained with.
    #[error(
        "the vocabulary has {words} ids and fingerprint {found}, but the model was trained with \
         {model} ids and fingerprint {expected}; use the vocabulary saved with the model"
    )]
    Vocabulary {
        /// Ids in the vocabulary at hand.
        words: usize,
        /// Fingerprint of the vocabulary at hand.
        found: String,
        /// Ids that the model knows.
        model: usize,
        /// Fingerprint kept with the model.
        expected: String,
    },
    /// A caption holds something that is not one word.
    #[error(
        "{word:?} in a caption is not one word: give captions as words without white space, as \
         `split_whitespace` cuts them"
    )]
    Word {
        /// What is empty or holds white space.
        word: String,
    },
    /// Image features do not have the width the model reads.
    #[error("the image features are {found} wide, but the model reads features {expected} wide")]
    Features {
        /// The model's `feature_dim`.
        expected: usize,
        /// The width of the features at hand.
        found: usize,
    },
    /// Image features are not of the kind that the model was trained on.
    #[error(
        "the captioner was trained on other features than these ({}): use those that it was \
         trained on, or the CLIP model that made them",
        list(differences)
    )]
    OtherFeatures {
        /// What differs, with the captioner's value first.
        differences: Vec<FeatureDifference>,
    },
    /// The number of image keys differs from the number of images.
    #[error("{keys} image keys were given for {images} images; give one key per image")]
    ImageKeys {
        /// Keys given.
        keys: usize,
        /// Images given.
        images: usize,
    },
    /// Decoding was asked of a model that records gradients.
    #[error(
        "decoding records no gradients: call it on `model.valid()` with features from a device \
         without autodiff"
    )]
    Autodiff,
    /// The model's outputs are not numbers any more.
    #[error(
        "the model's outputs are not finite (first in caption {row}); the weights have diverged"
    )]
    NonFinite {
        /// The first caption, image-major, with a log-probability that is not finite.
        row: usize,
    },
    /// The device failed while results were read back.
    #[error("reading results back from the device failed: {0}")]
    Device(String),
}

/// "`size` is 448 for it and 224 for these, ..."
fn list(differences: &[FeatureDifference]) -> String {
    let one = |d: &FeatureDifference| {
        format!("`{}` is {} for it and {} for these", d.field, d.first, d.second)
    };
    differences.iter().map(one).collect::<Vec<_>>().join(", ")
}
