//! Words as numbers.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::words;

/// Gives every word a number, the same one each time.
///
/// Saved as the list of words in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct WordIds {
    ids: FxHashMap<String, u32>,
}

impl WordIds {
    /// The number of a word; a new word gets the next free one.
    pub fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let id = self.ids.len() as u32;
        self.ids.insert(word.to_string(), id);
        id
    }

    /// The number of a word that has one.
    pub(crate) fn get(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// The numbers of the [`words`] of a caption.
    pub fn caption(&mut self, caption: &str) -> Vec<u32> {
        words(caption).map(|word| self.id(word)).collect()
    }
}

/// Words that are known, and more that come with the captions at hand.
pub(crate) struct MoreWords<'a> {
    known: Option<&'a WordIds>,
    more: WordIds,
}

impl<'a> MoreWords<'a> {
    pub(crate) fn new(known: Option<&'a WordIds>) -> Self {
        Self { known, more: WordIds::default() }
    }

    /// The numbers of the [`words`] of a caption; new words have those after the known ones.
    pub(crate) fn caption(&mut self, caption: &str) -> Vec<u32> {
        let first = self.known.map_or(0, |known| known.ids.len() as u32);
        let known = self.known;
        let id = |word| {
            known.and_then(|known| known.get(word)).unwrap_or_else(|| first + self.more.id(word))
        };
        words(caption).map(id).collect()
    }
}

impl From<WordIds> for Vec<String> {
    fn from(words: WordIds) -> Self {
        let mut sorted: Vec<(String, u32)> = words.ids.into_iter().collect();
        sorted.sort_unstable_by_key(|(_, id)| *id);
        sorted.into_iter().map(|(word, _)| word).collect()
    }
}

impl TryFrom<Vec<String>> for WordIds {
    type Error = String;

    fn try_from(list: Vec<String>) -> Result<Self, String> {
        let mut ids = FxHashMap::default();
        for (id, word) in list.into_iter().enumerate() {
            if let Some(first) = ids.insert(word.clone(), id as u32) {
                return Err(format!(
                    "the word {word:?} has the numbers {first} and {id}: list every word once"
                ));
            }
        }
        Ok(Self { ids })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_number_when_saved() {
        let mut words = WordIds::default();
        assert_eq!(words.caption("a dog and a cat"), [0, 1, 2, 0, 3]);
        let saved = serde_json::to_string(&words).unwrap();
        assert_eq!(saved, r#"["a","dog","and","cat"]"#);
        let mut back: WordIds = serde_json::from_str(&saved).unwrap();
        assert_eq!(back.caption("cat sees dog"), [3, 4, 1]);
    }

    #[test]
    fn a_word_listed_twice_is_refused() {
        let error = serde_json::from_str::<WordIds>(r#"["a","b","a"]"#).unwrap_err().to_string();
        assert!(error.contains("\"a\"") && error.contains("0 and 2"), "{error}");
    }
}
