//! CIDEr-D as a reward.

use std::fs;
use std::path::Path;

use finecap_metrics::{Cider, DocumentFrequencies, PreparedReferences, WordIds};
use serde::{Deserialize, Serialize};

use crate::reward::check_images;
use crate::{Candidate, Reward, RewardError};

/// Stands for the end of a caption among the words.
///
/// With it inside the n-grams, stopping in the wrong place costs reward; without it about a third
/// of the captions that come out of SCST end badly.
const END: &str = "<eos>";

/// Document frequencies of training references, with the name of the vocabulary that the captioner
/// had when they were counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CiderTable {
    /// Fingerprint of the captioner's vocabulary.
    vocabulary: String,
    words: WordIds,
    frequencies: DocumentFrequencies,
}

impl CiderTable {
    /// Refuses a captioner whose vocabulary has another fingerprint than that of the table.
    ///
    /// # Errors
    /// [`RewardError::Vocabulary`].
    pub fn check_vocabulary(&self, vocabulary: &str) -> Result<(), RewardError> {
        if self.vocabulary == vocabulary {
            return Ok(());
        }
        let (table, captioner) = (self.vocabulary.clone(), vocabulary.to_string());
        Err(RewardError::Vocabulary { table, captioner })
    }

    /// Counts over the references of every picture, words separated by spaces, end of caption
    /// included.
    ///
    /// # Errors
    /// [`RewardError::Metrics`] for a picture without references, or no pictures.
    pub fn build<S: AsRef<str>>(
        references: &[impl AsRef<[S]>],
        vocabulary: String,
    ) -> Result<Self, RewardError> {
        let mut words = WordIds::default();
        let ids: Vec<Vec<Vec<u32>>> = references
            .iter()
            .map(|refs| {
                refs.as_ref().iter().map(|r| caption_ids(&mut words, r.as_ref(), true)).collect()
            })
            .collect();
        let frequencies = DocumentFrequencies::from_references(&ids)?;
        Ok(Self { vocabulary, words, frequencies })
    }

    /// The numbers of the words, and the document frequencies.
    pub fn into_parts(self) -> (WordIds, DocumentFrequencies) {
        (self.words, self.frequencies)
    }

    /// Number of pictures counted.
    pub fn images(&self) -> usize {
        self.frequencies.images()
    }

    /// Reads a table written by [`save`](Self::save).
    ///
    /// # Errors
    /// [`RewardError::File`] for a missing or malformed file.
    pub fn load(path: &Path) -> Result<Self, RewardError> {
        let wrong = |problem: String| RewardError::File { path: path.into(), problem };
        let text = fs::read_to_string(path).map_err(|e| {
            wrong(format!("cannot be read ({e}): a CIDEr table is made by `finecap prepare`"))
        })?;
        serde_json::from_str(&text).map_err(|e| wrong(format!("is not a CIDEr table: {e}")))
    }

    /// Writes the table as JSON.
    ///
    /// # Errors
    /// [`RewardError::Files`] where writing fails.
    pub fn save(&self, path: &Path) -> Result<(), RewardError> {
        let wrong = |problem: String| RewardError::File { path: path.into(), problem };
        let text = serde_json::to_string(self).map_err(|e| wrong(e.to_string()))?;
        Ok(finecap_files::write_text(path, &(text + "\n"))?)
    }
}

/// CIDEr-D of a caption against its picture's references, end of caption included.
pub struct CiderReward {
    words: WordIds,
    scorer: Cider,
    references: Vec<PreparedReferences>,
}

impl CiderReward {
    /// Builds the reward from the references of every picture, words separated by spaces; the
    /// document frequencies are those of the same references.
    ///
    /// # Errors
    /// [`RewardError::Metrics`] for a picture without references.
    pub fn new<S: AsRef<str>>(references: &[impl AsRef<[S]>]) -> Result<Self, RewardError> {
        let table = CiderTable::build(references, String::new())?;
        Self::with_table(&table, "", references)
    }

    /// Builds the reward with document frequencies that were counted elsewhere, for a captioner
    /// whose vocabulary has the fingerprint `vocabulary`.
    ///
    /// # Errors
    /// [`RewardError::Vocabulary`] for a table of another vocabulary, [`RewardError::References`]
    /// for a picture without references.
    pub fn with_table<S: AsRef<str>>(
        table: &CiderTable,
        vocabulary: &str,
        references: &[impl AsRef<[S]>],
    ) -> Result<Self, RewardError> {
        table.check_vocabulary(vocabulary)?;
        let mut words = table.words.clone();
        let scorer = Cider::new(table.frequencies.clone());
        let references = references
            .iter()
            .enumerate()
            .map(|(image, refs)| {
                let refs = refs.as_ref().iter();
                let ids: Vec<_> = refs.map(|r| caption_ids(&mut words, r.as_ref(), true)).collect();
                scorer
                    .prepare(&ids)
                    .map_err(|_| RewardError::References { reward: "cider".into(), image })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { words, scorer, references })
    }
}

impl Reward for CiderReward {
    fn name(&self) -> &str {
        "cider"
    }

    fn score(&mut self, candidates: &[Candidate]) -> Result<Vec<f32>, RewardError> {
        check_images(self.name(), candidates, self.references.len())?;
        let score = |candidate: &Candidate| {
            let ids = caption_ids(&mut self.words, candidate.text, candidate.ended);
            self.scorer.score_d(&ids, &self.references[candidate.image]) as f32
        };
        Ok(candidates.iter().map(score).collect())
    }
}

fn caption_ids(words: &mut WordIds, caption: &str, ended: bool) -> Vec<u32> {
    let end = ended.then_some(END);
    caption.split_whitespace().chain(end).map(|word| words.id(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references() -> Vec<Vec<&'static str>> {
        vec![
            vec!["a red dog", "the red dog runs"],
            vec!["a blue cat", "a cat on a mat"],
            vec!["two birds", "birds in a tree"],
        ]
    }

    #[test]
    fn a_caption_that_does_not_end_scores_less() {
        let mut reward = CiderReward::new(&references()).unwrap();
        let ended = Candidate::new(0, "a red dog");
        let cut = Candidate { ended: false, ..ended };
        let scores = reward.score(&[ended, cut, Candidate::new(1, "a red dog")]).unwrap();
        assert!(scores[0] > scores[1], "{scores:?}");
        assert!(scores[1] > scores[2], "{scores:?}");
    }

    #[test]
    fn ends_count_as_in_pycocoevalcap() {
        let path = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/../../fixtures/cider.json";
        let data: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        fn of<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> T {
            serde_json::from_value(value.clone()).unwrap()
        }
        let (texts, ended): (Vec<String>, Vec<bool>) =
            (of(&data["candidates"]), of(&data["ended"]));
        let table: Vec<Vec<String>> = of(&data["table"]);
        let references: Vec<Vec<String>> = of(&data["references"]);
        let table = CiderTable::build(&table, "abc".into()).unwrap();
        let mut reward = CiderReward::with_table(&table, "abc", &references).unwrap();
        let candidates: Vec<Candidate> = (texts.iter().zip(ended).enumerate())
            .map(|(image, (text, ended))| Candidate { image, text, ended })
            .collect();
        let expected: Vec<f32> = of(&data["ended_per_image"]);
        for (found, expected) in reward.score(&candidates).unwrap().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn an_unknown_image_is_named() {
        let mut reward = CiderReward::new(&[vec!["a dog"], vec!["a cat"]]).unwrap();
        let error = reward.score(&[Candidate::new(2, "a dog")]).unwrap_err().to_string();
        assert!(error.contains("image 2") && error.contains("cider"), "{error}");
    }

    #[test]
    fn a_saved_table_scores_the_same_and_knows_its_vocabulary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cider.json");
        CiderTable::build(&references(), "abc".into()).unwrap().save(&path).unwrap();
        let table = CiderTable::load(&path).unwrap();
        assert_eq!(table.images(), 3);
        // Scored against other references than those that were counted.
        let others = [vec!["a red dog sleeps"]];
        let mut reward = CiderReward::with_table(&table, "abc", &others).unwrap();
        let mut expected = CiderReward::new(&references()).unwrap();
        let candidates = [Candidate::new(0, "a red dog")];
        assert_ne!(reward.score(&candidates).unwrap(), expected.score(&candidates).unwrap());
        let mut same = CiderReward::with_table(&table, "abc", &references()).unwrap();
        assert_eq!(same.score(&candidates).unwrap(), expected.score(&candidates).unwrap());

        let message = CiderReward::with_table(&table, "xyz", &others).err().unwrap().to_string();
        assert!(message.contains("abc") && message.contains("xyz"), "{message}");
        let empty: [Vec<&str>; 1] = [vec![]];
        assert!(CiderReward::with_table(&table, "abc", &empty).is_err());
        fs::write(&path, "{}").unwrap();
        assert!(CiderTable::load(&path).unwrap_err().to_string().contains("cider.json"));
    }
}
