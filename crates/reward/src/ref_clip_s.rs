//! RefCLIP-S, which also looks at the references of a picture (Hessel et al. 2021).

use serde::{Deserialize, Serialize};

use crate::clip_s::{dot, finite};
use crate::reward::check_images;
use crate::{Candidate, ClipScore, Reward, RewardError};

/// Which RefCLIP-S is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefClipDefinition {
    /// Hessel et al. (2021): the cosine to the references counts as it is.
    #[default]
    Hessel,
    /// The code of Cho et al. (2022), which multiplies that cosine with `w` too, so that values
    /// are larger and may exceed 1.
    Inflated,
}

/// RefCLIP-S: the harmonic mean of CLIP-S and the largest cosine to a reference caption.
pub struct RefClipScore {
    clip_s: ClipScore,
    definition: RefClipDefinition,
    /// Embeddings of all references, image by image.
    references: Vec<Vec<f32>>,
    /// Where the references of each image begin, and where the last ones end.
    starts: Vec<usize>,
}

impl RefClipScore {
    /// Builds on a CLIP-S and the references of each of its pictures, which are encoded here, once.
    ///
    /// # Errors
    /// [`RewardError::References`] for a picture without references, [`RewardError::Shape`] for
    /// another number of pictures, and those of encoding.
    pub fn new<R, S>(
        clip_s: ClipScore,
        definition: RefClipDefinition,
        references: &[R],
    ) -> Result<Self, RewardError>
    where
        R: AsRef<[S]>,
        S: AsRef<str>,
    {
        if references.len() != clip_s.images.len() {
            return Err(RewardError::Shape(format!(
                "RefCLIP-S needs references for each of {} images, got {}",
                clip_s.images.len(),
                references.len()
            )));
        }
        if let Some(image) = references.iter().position(|own| own.as_ref().is_empty()) {
            return Err(RewardError::References { reward: "ref_clip_s".into(), image });
        }
        let captions: Vec<&str> =
            references.iter().flat_map(AsRef::as_ref).map(AsRef::as_ref).collect();
        let mut starts = vec![0];
        for own in references {
            starts.push(starts[starts.len() - 1] + own.as_ref().len());
        }
        let references = clip_s.encoder.embeddings(&clip_s.config.prompt, &captions)?;
        Ok(Self { clip_s, definition, references, starts })
    }

    /// The largest cosine of a caption to a reference of its picture.
    fn nearest(&self, candidate: &Candidate, text: &[f32]) -> Result<f32, RewardError> {
        let own = self.starts[candidate.image]..self.starts[candidate.image + 1];
        let mut nearest = 0.0;
        for reference in &self.references[own] {
            let cosine = dot(reference, text);
            // `f32::max` would pass over a NaN.
            finite("ref_clip_s", candidate, cosine)?;
            nearest = f32::max(nearest, cosine);
        }
        Ok(nearest)
    }
}

impl Reward for RefClipScore {
    fn name(&self) -> &str {
        "ref_clip_s"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.clip_s.images.len())?;
        let texts = self.clip_s.texts(candidates)?;
        let clip_s = self.clip_s.scores(candidates, &texts)?;
        let factor = match self.definition {
            RefClipDefinition::Hessel => 1.0,
            RefClipDefinition::Inflated => self.clip_s.config.weight,
        };
        let score = |((candidate, text), clip_s): ((&Candidate, &Vec<f32>), f32)| {
            let nearest = self.nearest(candidate, text)? * factor;
            Ok(match clip_s + nearest {
                0.0 => 0.0,
                sum => 2.0 * clip_s * nearest / sum,
            })
        };
        candidates.iter().zip(&texts).zip(clip_s).map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::testing::{cosines, no_prompt, pipeline};

    #[test]
    fn ref_clip_s_is_the_harmonic_mean_with_the_nearest_reference() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let cos = cosines(&pipeline, &["a red star", "a star", "a ring", "red ring"]);
        let image = pipeline.embed_texts(&["a star"], &device).unwrap();
        let references = vec![vec!["a ring".to_string(), "red ring".to_string()]];
        let candidate = [Candidate::new(0, "a red star")];
        for (definition, factor) in
            [(RefClipDefinition::Hessel, 1.0), (RefClipDefinition::Inflated, 2.5)]
        {
            let clip_s = ClipScore::new(no_prompt(2.5), pipeline.clone(), image.clone());
            let mut score = RefClipScore::new(clip_s, definition, &references).unwrap();
            let (a, b) = (2.5 * cos[0][1], factor * cos[0][2].max(cos[0][3]));
            let found = score.score(&candidate).unwrap()[0];
            assert!((found - 2.0 * a * b / (a + b)).abs() < 1e-5, "{found} of {a} and {b}");
        }
        let clip_s = ClipScore::new(no_prompt(2.5), pipeline, image);
        let empty = RefClipScore::new(clip_s, RefClipDefinition::Hessel, &[Vec::<String>::new()]);
        let message = empty.err().unwrap().to_string();
        assert!(message.contains("image 0") && message.contains("ref_clip_s"), "{message}");
    }

    #[test]
    fn a_reference_that_is_not_a_number_is_not_passed_over() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let image = pipeline.embed_texts(&["a star"], &device).unwrap();
        let clip_s = ClipScore::new(no_prompt(2.5), pipeline, image);
        let mut score =
            RefClipScore::new(clip_s, RefClipDefinition::Hessel, &[["a ring", "red ring"]])
                .unwrap();
        score.references[0][0] = f32::NAN;
        let message = score.score(&[Candidate::new(0, "red")]).unwrap_err().to_string();
        assert!(message.contains("ref_clip_s") && message.contains("\"red\""), "{message}");
    }

    /// A resumed run sees other batches first and must get the same scores.
    #[test]
    fn scores_do_not_depend_on_what_was_scored_before() {
        let device = Device::flex();
        let pipeline = pipeline(&device);
        let images = pipeline.embed_texts(&["a star", "a ring", "red"], &device).unwrap();
        let references = [vec!["a ring", "red ring"], vec!["a red ring"], vec!["star", "photo"]];
        let fresh = || {
            let clip_s = ClipScore::new(no_prompt(2.5), pipeline.clone(), images.clone());
            RefClipScore::new(clip_s, RefClipDefinition::Hessel, &references).unwrap()
        };
        let batch = [Candidate::new(2, "a star"), Candidate::new(0, "red ring")];
        let mut used = fresh();
        used.score(&[Candidate::new(1, "a photo")]).unwrap();
        used.score(&[Candidate::new(0, "a"), Candidate::new(1, "star")]).unwrap();
        assert_eq!(used.score(&batch).unwrap(), fresh().score(&batch).unwrap());
    }
}
