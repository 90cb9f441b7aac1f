use std::path::PathBuf;
use std::sync::Arc;

use finecap_clip::{Picture, load_image};
use finecap_data::{Member, Split};
use rayon::prelude::*;

use crate::TrainError;

/// Where an image's pixels are.
#[derive(Debug, Clone)]
pub enum ImageSource {
    /// An image file.
    File(PathBuf),
    /// A picture in a shard.
    Shard(Member),
    /// A picture in memory.
    Memory(Arc<Picture>),
    /// No picture: the captions are all there is.
    None,
}

impl ImageSource {
    /// The decoded picture.
    ///
    /// # Errors
    /// For a file that is missing, damaged or too large, naming it.
    pub fn load(&self) -> Result<Arc<Picture>, TrainError> {
        match self {
            Self::File(path) => Ok(Arc::new(load_image(path)?)),
            Self::Shard(member) => Ok(Arc::new(member.picture()?)),
            Self::Memory(image) => Ok(image.clone()),
            Self::None => Err(TrainError::setting("data", "has captions only, and no pictures")),
        }
    }
}

/// One image with everything that is said about it.
#[derive(Debug, Clone)]
pub struct ImageRecord {
    /// Name, unique within the data set; for files the path below the image folder.
    pub name: String,
    /// The pixels.
    pub source: ImageSource,
    /// Which part it belongs to.
    pub split: Split,
    /// Reference captions: lower-case words separated by single spaces. At least one.
    pub captions: Vec<String>,
    /// Further descriptions, which only the CLIP phase reads; may be empty.
    pub alt_texts: Vec<String>,
}

/// A data set in a fixed order.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// All images of all splits.
    pub images: Vec<ImageRecord>,
}

impl Dataset {
    /// Indices of the images of one split, in order.
    pub fn split(&self, split: Split) -> Vec<usize> {
        (0..self.images.len()).filter(|&i| self.images[i].split == split).collect()
    }

    /// Images of the validation split, or of the test split where there is none.
    pub fn validation(&self) -> Vec<usize> {
        let val = self.split(Split::Val);
        if val.is_empty() { self.split(Split::Test) } else { val }
    }

    /// Names of some images.
    pub fn names(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|&image| self.images[image].name.clone()).collect()
    }

    /// Decodes the pictures of `indices` in parallel, in order.
    ///
    /// # Errors
    /// That of the first picture that cannot be read.
    pub fn load_images(&self, indices: &[usize]) -> Result<Vec<Arc<Picture>>, TrainError> {
        indices.par_iter().map(|&i| self.images[i].source.load()).collect()
    }

    /// Removes every image that cannot be decoded, and returns the reasons.
    pub fn drop_bad_images(&mut self) -> Vec<TrainError> {
        let checks: Vec<Result<_, _>> =
            self.images.par_iter().map(|image| image.source.load().map(|_| ())).collect();
        let mut checks = checks.into_iter();
        let mut errors = Vec::new();
        self.images.retain(|_| match checks.next() {
            Some(Err(error)) => {
                errors.push(error);
                false
            }
            _ => true,
        });
        errors
    }

    /// The captions of one image as lists of words.
    pub fn words(&self, image: usize) -> impl Iterator<Item = Vec<&str>> {
        self.images[image].captions.iter().map(|caption| caption.split(' ').collect())
    }
}
