//! Tokenizers as files that other programs read: `tokenizer.json` and `tokenizer_config.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, Sequence};
use tokenizers::{ModelWrapper, Tokenizer};

use super::{BOS, ClipTokenizer, EOS, Kind, error, openai, words};
use crate::ClipError;
use crate::json_file::{fields, read_object};

impl ClipTokenizer {
    /// Reads a `tokenizer.json`: one that [`save`](Self::save) wrote, or any of CLIP's with its
    /// byte-pair vocabulary (its captions are then cleaned and split as
    /// [`openai`](Self::openai)'s, whatever the file says).
    ///
    /// # Errors
    /// [`ClipError::Io`] if the file cannot be read, [`ClipError::Tokenizer`] if it is not a
    /// tokenizer of one of these kinds or lacks a special token.
    pub fn from_file(path: &Path) -> Result<Self, ClipError> {
        let bytes = fs::read(path).map_err(|source| ClipError::read(path, source))?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Self::from_bytes(bytes).map_err(|reason| error(path.display().to_string(), reason))
    }

    /// Reads `vocab.json` and `merges.txt`, as tokenizers were kept before there was
    /// `tokenizer.json`.
    ///
    /// # Errors
    /// [`ClipError::Tokenizer`] for files that can't be read, or don't belong together.
    pub fn from_parts(vocab: &Path, merges: &Path) -> Result<Self, ClipError> {
        let read = || -> Result<Self, String> {
            let ids: BTreeMap<String, u32> =
                fields(&read_object(vocab).map_err(|e| e.to_string())?, "")
                    .map_err(|problem| format!("not a vocabulary: {problem}"))?;
            let text = fs::read_to_string(merges)
                .map_err(|error| format!("cannot read {}: {error}", merges.display()))?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let mut pairs = Vec::new();
            for (line, pair) in text.lines().enumerate() {
                if pair.trim().is_empty() || (line == 0 && pair.starts_with("#version")) {
                    continue;
                }
                let (first, second) = pair.trim_end().split_once(' ').ok_or_else(|| {
                    format!("{}: line {} is no pair: {pair}", merges.display(), line + 1)
                })?;
                pairs.push((first.to_string(), second.to_string()));
            }
            let model = BPE::builder()
                .vocab_and_merges(ids.into_iter().collect::<Vocab>(), pairs)
                .end_of_word_suffix(openai::END_OF_WORD.to_string())
                .unk_token(EOS.to_string())
                .build()
                .map_err(|error| format!("does not belong to {}: {error}", merges.display()))?;
            Self::new(model, Kind::Bpe)
        };
        read().map_err(|reason| error(vocab.display().to_string(), reason))
    }

    /// A token to which the two give different ids, or which only one has.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.inner.get_vocab(true), other.inner.get_vocab(true));
        let mut different: Vec<&String> = ours
            .iter()
            .filter(|(token, id)| theirs.get(*token) != Some(id))
            .map(|(token, _)| token)
            .chain(theirs.keys().filter(|token| !ours.contains_key(*token)))
            .collect();
        different.sort();
        different.first().map(|token| token.to_string())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let read = Tokenizer::from_bytes(bytes).map_err(|reason| {
            format!("not a tokenizer.json of the `tokenizers` library ({reason})")
        })?;
        match read.get_model() {
            ModelWrapper::BPE(model) => {
                if model.end_of_word_suffix.as_deref() != Some(openai::END_OF_WORD) {
                    return Err(
                        "its byte pairs do not mark the end of a word with </w>, so it is \
                                not a CLIP tokenizer"
                            .to_string(),
                    );
                }
                let mut model = model.clone();
                model.dropout = None;
                // A vocabulary without some byte says so with a token that is surely there.
                model.unk_token = Some(EOS.to_string());
                Self::new(model, Kind::Bpe)
            }
            ModelWrapper::WordLevel(model) => {
                if read.token_to_id(&model.unk_token).is_none() {
                    let name = &model.unk_token;
                    return Err(format!("the vocabulary lacks its unknown token {name}"));
                }
                Self::new(model.clone(), Kind::Words)
            }
            _ => Err("neither CLIP's byte pairs (BPE) nor whole words (WordLevel)".to_string()),
        }
    }

    /// Writes `tokenizer.json` into a folder, and the `tokenizer_config.json` that `transformers`
    /// wants beside it.
    ///
    /// Libraries that read the file do not clean captions as thoroughly as
    /// [`encode`](Self::encode) does (no HTML references, curly quotes, widths), so ids of captions
    /// with such characters differ there.
    ///
    /// # Errors
    /// [`ClipError::Io`] if a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ClipError> {
        let failed = |reason: tokenizers::Error| error(dir.display().to_string(), reason);
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| ClipError::write(&path, source))
        };
        let mut written = Tokenizer::clone(&self.inner);
        if self.kind == Kind::Bpe {
            written.with_normalizer(Some(clip_normalizer().map_err(failed)?)).map_err(failed)?;
        }
        write("tokenizer.json", written.to_string(false).map_err(failed)?)?;

        let (class, pad, unknown) = match self.kind {
            Kind::Bpe => ("CLIPTokenizer", EOS, EOS),
            Kind::Words => ("PreTrainedTokenizerFast", words::PAD, words::UNKNOWN),
        };
        let config = json!({
            "tokenizer_class": class,
            "bos_token": BOS,
            "eos_token": EOS,
            "pad_token": pad,
            "unk_token": unknown,
        });
        write("tokenizer_config.json", format!("{config:#}\n"))
    }
}

/// The part of the cleaning that the file format can say.
fn clip_normalizer() -> tokenizers::Result<Sequence> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_string()), " ")?;
    Ok(Sequence::new(vec![
        NormalizerWrapper::NFC(NFC),
        NormalizerWrapper::Replace(spaces),
        NormalizerWrapper::Lowercase(Lowercase),
    ]))
}
