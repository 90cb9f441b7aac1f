use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::CaptionerError;

/// The id that begins, ends and pads every caption, as in the reference implementation.
pub const END: u32 = 0;

/// The word that stands for every word outside the vocabulary; it has the last id.
pub const UNKNOWN: &str = "UNK";

/// Words that the reference lets no caption end with, if its `remove_bad_endings` is on.
pub const BAD_ENDINGS: [&str; 17] = [
    "a", "an", "the", "in", "for", "at", "of", "with", "before", "after", "on", "upon", "near",
    "to", "is", "are", "am",
];

/// A word-level vocabulary: id 0 is [`END`], words follow from 1, [`UNKNOWN`] is last.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocab {
    /// `words[i]` has id `i + 1`; the last is [`UNKNOWN`].
    words: Vec<String>,
    ids: HashMap<String, u32>,
    max_words: usize,
}

/// What `vocab.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VocabFile {
    max_words: usize,
    words: Vec<String>,
}

impl Vocab {
    /// Keeps the words that occur more than `threshold` times in `captions`, in the order of
    /// their first occurrence. Encoded captions are cut after `max_words` words; counting sees
    /// them whole.
    ///
    /// ```
    /// # use finecap_captioner::Vocab;
    /// let captions = ["a red dog", "a blue dog"].map(|c| c.split(' '));
    /// let vocab = Vocab::build(captions, 1, 16)?;
    /// assert_eq!(vocab.words(), ["a", "dog", "UNK"]);
    /// assert_eq!(vocab.encode(&["a", "red", "dog"]), [1, 3, 2]);
    /// # Ok::<(), finecap_captioner::CaptionerError>(())
    /// ```
    ///
    /// # Errors
    /// [`CaptionerError::Word`] for a word that is empty or holds white space, frequent or not:
    /// [`load`](Self::load) would refuse it. [`CaptionerError::Config`] for `max_words` of 0.
    pub fn build<C, W>(
        captions: impl IntoIterator<Item = C>,
        threshold: usize,
        max_words: usize,
    ) -> Result<Self, CaptionerError>
    where
        C: IntoIterator<Item = W>,
        W: AsRef<str>,
    {
        if max_words == 0 {
            let rule = "at least 1".into();
            return Err(CaptionerError::Config { field: "max_words", rule, found: "0".into() });
        }
        let mut order: Vec<String> = Vec::new();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for word in captions.into_iter().flatten() {
            let word = word.as_ref();
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None if !is_word(word) => {
                    return Err(CaptionerError::Word { word: word.to_owned() });
                }
                None => {
                    counts.insert(word.to_owned(), 1);
                    order.push(word.to_owned());
                }
            }
        }
        order.retain(|word| counts[word] > threshold && word != UNKNOWN);
        order.push(UNKNOWN.to_owned());
        Ok(Self::index(order, max_words))
    }

    /// Number of ids `V`: the words, [`UNKNOWN`] and id 0.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.words.len() + 1
    }

    /// The words in id order (the first has id 1), [`UNKNOWN`] last.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The id of [`UNKNOWN`].
    pub fn unknown(&self) -> u32 {
        self.words.len() as u32
    }

    /// The ids of [`BAD_ENDINGS`], of those that the vocabulary has.
    pub fn bad_endings(&self) -> Vec<u32> {
        BAD_ENDINGS.iter().filter_map(|&word| self.ids.get(word).copied()).collect()
    }

    /// Words after which an encoded caption is cut.
    pub fn max_words(&self) -> usize {
        self.max_words
    }

    /// Ids of a tokenised caption: without [`END`], cut after [`max_words`](Self::max_words).
    pub fn encode<W: AsRef<str>>(&self, words: &[W]) -> Vec<u32> {
        words
            .iter()
            .take(self.max_words)
            .map(|word| self.ids.get(word.as_ref()).copied().unwrap_or(self.unknown()))
            .collect()
    }

    /// The words of `ids` joined by spaces, up to the first [`END`]; ids outside the vocabulary
    /// read as [`UNKNOWN`].
    pub fn decode(&self, ids: &[u32]) -> String {
        let words: Vec<&str> = ids
            .iter()
            .take_while(|&&id| id != END)
            .map(|&id| self.words.get(id as usize - 1).map_or(UNKNOWN, String::as_str))
            .collect();
        words.join(" ")
    }

    /// A short name for exactly these words in this order: the 64-bit FNV-1a hash of the words,
    /// each followed by a zero byte, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for word in &self.words {
            for byte in word.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }

    /// Writes the vocabulary as JSON.
    ///
    /// # Errors
    /// [`CaptionerError::Io`] where the file can't be written.
    pub fn save(&self, path: &Path) -> Result<(), CaptionerError> {
        let file = VocabFile { max_words: self.max_words, words: self.words.clone() };
        crate::folder::write_json(path, &file)
    }

    /// Reads a vocabulary written by [`save`](Self::save).
    ///
    /// # Errors
    /// [`CaptionerError::Io`] where the file can't be read, [`CaptionerError::Json`] where it is
    /// not what `save` writes: each word once, without white space, [`UNKNOWN`] last.
    pub fn load(path: &Path) -> Result<Self, CaptionerError> {
        let text = fs::read_to_string(path).map_err(|source| CaptionerError::Io {
            action: "read",
            path: path.into(),
            source,
        })?;
        let wrong =
            |reason: String| CaptionerError::Json { what: "vocabulary", path: path.into(), reason };
        let file: VocabFile =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        Self::from_words(file.words, file.max_words).map_err(wrong)
    }

    /// A vocabulary of words in id order, [`UNKNOWN`] last; or what is wrong with them.
    pub(crate) fn from_words(words: Vec<String>, max_words: usize) -> Result<Self, String> {
        if words.last().map(String::as_str) != Some(UNKNOWN) {
            return Err(format!("the last entry of `words` must be \"{UNKNOWN}\""));
        }
        let vocab = Self::index(words, max_words);
        if vocab.max_words == 0 {
            return Err("`max_words` must be at least 1".into());
        }
        for (place, word) in vocab.words.iter().enumerate() {
            if !is_word(word) {
                return Err(format!("word {} (\"{word}\") is not one word", place + 1));
            }
            if vocab.ids[word] as usize != place + 1 {
                return Err(format!("the word \"{word}\" occurs twice in `words`"));
            }
        }
        Ok(vocab)
    }

    fn index(words: Vec<String>, max_words: usize) -> Self {
        let ids = words.iter().cloned().zip(1..).collect();
        Self { words, ids, max_words }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vocab() -> Vocab {
        let captions = ["a red cat", "a cat on a mat", "the red mat"].map(|c| c.split(' '));
        Vocab::build(captions, 1, 4).unwrap()
    }

    #[test]
    fn keeps_frequent_words_in_order_of_first_occurrence() {
        let vocab = vocab();
        assert_eq!(vocab.words(), ["a", "red", "cat", "mat", "UNK"]);
        assert_eq!(vocab.len(), 6);
        assert_eq!(vocab.unknown(), 5);
    }

    #[test]
    fn encodes_cuts_and_decodes() {
        let vocab = vocab();
        let ids = vocab.encode(&["a", "zebra", "on", "red", "cat"]);
        assert_eq!(ids, [1, 5, 5, 2]);
        assert_eq!(vocab.decode(&ids), "a UNK UNK red");
        assert_eq!(vocab.decode(&[3, 0, 1]), "cat");
        assert_eq!(vocab.decode(&[3, 99]), "cat UNK");
        assert_eq!(vocab.bad_endings(), [1]);
    }

    #[test]
    fn fingerprint_sees_words_and_order() {
        let of = |words: [&str; 2]| Vocab::build([words], 0, 4).unwrap().fingerprint();
        assert_eq!(of(["ab", "c"]), of(["ab", "c"]));
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_ne!(of(["ab", "c"]), of(["c", "ab"]));
    }

    #[test]
    fn survives_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.json");
        vocab().save(&path).unwrap();
        assert_eq!(Vocab::load(&path).unwrap(), vocab());
    }

    #[test]
    fn what_is_not_one_word_is_refused_before_training() {
        // A caption with a double space, cut at single ones; rare words are looked at too.
        for caption in ["a  dog", "a new\nline", "", "a\u{3000}b"] {
            let message = Vocab::build([caption.split(' ')], 7, 4).unwrap_err().to_string();
            assert!(message.contains("not one word"), "{caption:?}: {message}");
        }
        assert!(Vocab::build([["a"]], 0, 0).unwrap_err().to_string().contains("`max_words`"));
    }

    proptest! {
        #[test]
        fn whatever_is_built_can_be_loaded(
            captions in prop::collection::vec(prop::collection::vec("[a-c \\t\u{a0}UNK\"\\\\]{0,3}", 0..4), 0..4),
            threshold in 0usize..3,
            max_words in 0usize..5,
        ) {
            if let Ok(vocab) = Vocab::build(captions, threshold, max_words) {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("vocab.json");
                vocab.save(&path).unwrap();
                prop_assert_eq!(Vocab::load(&path).unwrap(), vocab);
            }
        }
    }

    #[test]
    fn wrong_files_are_named_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.json");
        let cases = [
            (r#"{"max_words": 4, "words": ["a", "a", "UNK"]}"#, "\"a\" occurs twice"),
            (r#"{"max_words": 4, "words": ["a", "UNK", "b"]}"#, "must be \"UNK\""),
            (r#"{"max_words": 4, "words": []}"#, "must be \"UNK\""),
            (r#"{"max_words": 0, "words": ["UNK"]}"#, "`max_words`"),
            (r#"{"max_words": 4, "words": ["a b", "UNK"]}"#, "not one word"),
            (r#"{"max_words": "4", "words": ["UNK"]}"#, "invalid type"),
            (r#"{"max_words": 4, "words": ["UNK"], "size": 1}"#, "unknown field `size`"),
            ("{", "EOF"),
        ];
        for (text, reason) in cases {
            fs::write(&path, text).unwrap();
            let message = Vocab::load(&path).unwrap_err().to_string();
            assert!(message.contains("vocab.json") && message.contains(reason), "{message}");
        }
        let message = Vocab::load(&dir.path().join("none.json")).unwrap_err().to_string();
        assert!(message.contains("none.json"), "{message}");
    }
}
