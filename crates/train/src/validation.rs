//! What a captioner's checkpoints are judged by: its greedy captions of held-out images.

use finecap_captioner::{CaptionModel, CaptionerPipeline};
use finecap_reward::{Candidate, CiderReward, Reward};

use crate::TrainError;
use crate::config::{Config, Export};
use crate::data::Dataset;
use crate::eval::{Captioned, greedy_captions, mean};
use crate::features::FeatureStore;
use crate::job::Job;
use crate::phase::Numbers;

/// The images that validation looks at, and CIDEr-D against their references.
pub struct Validation {
    images: Vec<usize>,
    /// `None` where nothing is held out.
    cider: Option<CiderReward>,
}

impl Validation {
    /// The first `checkpoint.validate_images` of the validation split, or of the test split where
    /// there is none. A data set without either is not validated.
    ///
    /// # Errors
    /// A model to choose by validation where there is nothing to validate with; an image without
    /// references.
    pub fn new(job: &Job) -> Result<Self, TrainError> {
        let images = validation_images(job.dataset, job.config)?;
        let references: Vec<&[String]> =
            images.iter().map(|&image| job.dataset.images[image].captions.as_slice()).collect();
        let cider = match images.is_empty() {
            true => None,
            false => Some(CiderReward::new(&references)?),
        };
        Ok(Self { images, cider })
    }

    /// Mean CIDEr-D and mean length of the greedy captions of `captioner`, which records no
    /// gradients. With a `reward`, whose images are those of the data set, its mean comes first.
    /// Nothing where nothing is held out.
    ///
    /// # Errors
    /// Those of decoding and of the reward.
    pub fn numbers<M: CaptionModel>(
        &mut self,
        job: &Job,
        features: &FeatureStore,
        captioner: &CaptionerPipeline<M>,
        reward: Option<&mut dyn Reward>,
    ) -> Result<Numbers, TrainError> {
        let Some(cider) = &mut self.cider else { return Ok(Numbers::new()) };
        let captions = greedy_captions(captioner, features, &self.images, job.device)?;
        let mut numbers = Numbers::new();
        if let Some(reward) = reward {
            let score = mean_score(reward, self.images.iter().copied(), &captions)?;
            numbers.push(("reward".into(), score));
        }
        let words: usize = captions.iter().map(|c| c.text.split_whitespace().count()).sum();
        numbers.push(("cider".into(), mean_score(cider, 0.., &captions)?));
        numbers.push(("caption_length".into(), words as f64 / captions.len() as f64));
        Ok(numbers)
    }
}

/// The images that validation looks at; none where nothing is held out.
///
/// # Errors
/// `checkpoint.export = "best"` where there are none.
pub(crate) fn validation_images(
    dataset: &Dataset,
    config: &Config,
) -> Result<Vec<usize>, TrainError> {
    let mut images = dataset.validation();
    images.truncate(config.checkpoint.validate_images);
    if images.is_empty() && config.checkpoint.export == Export::Best {
        let problem = "is \"best\", but the data has no val or test images to choose the best \
                       checkpoint by: hold some out, or set it to \"last\"";
        return Err(TrainError::setting("checkpoint.export", problem));
    }
    Ok(images)
}

/// Mean of a reward over captions, one for each of `images` as the reward numbers them.
fn mean_score(
    reward: &mut dyn Reward,
    images: impl IntoIterator<Item = usize>,
    captions: &[Captioned],
) -> Result<f64, TrainError> {
    let candidates: Vec<Candidate> = images
        .into_iter()
        .zip(captions)
        .map(|(image, c)| Candidate { image, text: &c.text, ended: c.ended })
        .collect();
    Ok(mean(&reward.score(&candidates)?))
}
