//! A vocabulary of whole words, for small CLIPs that know a few dozen of them.

use std::collections::HashSet;

use tokenizers::models::wordlevel::WordLevel;
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};

use super::{BOS, ClipTokenizer, EOS, Kind, error};
use crate::ClipError;

/// The token that fills rows: id 0.
pub(super) const PAD: &str = "<|pad|>";
/// The token of every word that the vocabulary lacks: id 1.
pub(super) const UNKNOWN: &str = "<|unk|>";

impl ClipTokenizer {
    /// A tokenizer that knows whole words only.
    ///
    /// Takes words or whole captions: each is put in lower case and split into words (letters,
    /// digits and `_`) and runs of other marks, as captions are later. Ids follow first
    /// appearance: padding 0, unknown 1, the words from 2, then the start and the end token.
    ///
    /// # Errors
    /// [`ClipError::Tokenizer`] if there is no word at all.
    pub fn from_words<S: AsRef<str>>(
        words: impl IntoIterator<Item = S>,
    ) -> Result<Self, ClipError> {
        let what = "from words";
        let mut seen = HashSet::new();
        let mut order = Vec::new();
        for text in words {
            for word in split(text.as_ref()).map_err(|reason| error(what, reason))? {
                if seen.insert(word.clone()) {
                    order.push(word);
                }
            }
        }
        if order.is_empty() {
            return Err(error(what, "the vocabulary is empty; give it at least one word"));
        }
        let vocabulary = [PAD.to_string(), UNKNOWN.to_string()]
            .into_iter()
            .chain(order)
            .chain([BOS.to_string(), EOS.to_string()])
            .zip(0..)
            .collect();
        (WordLevel::builder().vocab(vocabulary).unk_token(UNKNOWN.to_string()))
            .build()
            .map_err(|reason| reason.to_string())
            .and_then(|model| Self::new(model, Kind::Words))
            .map_err(|reason| error(what, reason))
    }
}

/// What happens to a caption before it is split.
pub(super) fn normalizer() -> Lowercase {
    Lowercase
}

/// Words, and runs of other marks; spaces vanish.
pub(super) fn splitter() -> Whitespace {
    Whitespace {}
}

/// The words of a text, as a caption's are found.
fn split(text: &str) -> tokenizers::Result<Vec<String>> {
    let mut text = NormalizedString::from(text);
    normalizer().normalize(&mut text)?;
    let mut pieces = PreTokenizedString::from(text);
    splitter().pre_tokenize(&mut pieces)?;
    Ok((pieces.get_splits(OffsetReferential::Normalized, OffsetType::Byte))
        .into_iter()
        .map(|(word, _, _)| word.to_string())
        .collect())
}
