use serde::{Deserialize, Serialize};

/// Which part of a data set an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training images; Karpathy's `restval` counts as these, as is usual.
    #[serde(alias = "restval")]
    Train,
    /// Images that choose between checkpoints.
    Val,
    /// Images that only the final evaluation sees.
    Test,
}

impl Split {
    /// The part that a file calls `name`: `train`, `training` or `restval`; `val`, `valid`,
    /// `validation` or `dev`; `test` or `testing`. Other names mean nothing to training.
    ///
    /// ```
    /// use finecap_data::Split;
    /// assert_eq!(Split::from_name("restval"), Some(Split::Train));
    /// assert_eq!(Split::from_name("none"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "train" | "training" | "restval" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}
