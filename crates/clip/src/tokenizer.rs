//! From captions to token ids, through the `tokenizers` crate.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::ClipError;
use crate::clean::clean;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Stands for words that a word-level vocabulary doesn't have.
const UNKNOWN: &str = "<|unknown|>";

/// OpenAI's merges, see `assets/README.md`.
const MERGES: &[u8] = include_bytes!("../assets/clip-merges.txt.gz");

/// Turns captions into token ids with a start and an end token.
#[derive(Debug, Clone)]
pub struct ClipTokenizer {
    inner: Tokenizer,
    start: u32,
    end: u32,
}

impl ClipTokenizer {
    /// OpenAI's byte pairs: 49,408 ids, from the vocabulary that is part of this crate.
    ///
    /// # Errors
    /// None as long as the bundled vocabulary is whole, which is tested.
    pub fn openai() -> Result<Self, ClipError> {
        let broken = |reason: String| ClipError::Tokenizer { what: "openai".into(), reason };
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text).map_err(|e| broken(e.to_string()))?;
        let merges: Vec<&str> = text.lines().collect();
        let bytes = byte_characters();
        // The order of ids is the published one: bytes, bytes that end a word, merges, specials.
        let words = bytes.iter().map(char::to_string);
        let last = bytes.iter().map(|c| format!("{c}</w>"));
        let merged = merges.iter().map(|merge| merge.replacen(' ', "", 1));
        let specials = [START, END].map(str::to_string);
        let vocab: Map<String, Value> = words
            .chain(last)
            .chain(merged)
            .chain(specials)
            .zip(0..)
            .map(|(t, i)| (t, json!(i)))
            .collect();
        let pieces = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        let model = json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": END,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": merges.iter().filter_map(|m| m.split_once(' ')).collect::<Vec<_>>(),
        });
        let split = json!({ "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": pieces }, "behavior": "Removed", "invert": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false },
        ]});
        let decoder = json!({
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true
        });
        let count = 2 * bytes.len() + merges.len();
        Self::build("openai", model, split, decoder, count as u32, count as u32 + 1)
    }

    /// A vocabulary of whole words, lower-cased, in the order of their first occurrence, for small
    /// models that learn a small world: words, then the unknown word, then start and end token.
    ///
    /// # Errors
    /// [`ClipError::Tokenizer`] where there are no words.
    pub fn from_words<W: AsRef<str>>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, ClipError> {
        let mut seen = HashSet::new();
        let mut order: Vec<String> = Vec::new();
        for word in words {
            let word = clean(word.as_ref());
            if !word.is_empty() && seen.insert(word.clone()) {
                order.push(word);
            }
        }
        if order.is_empty() {
            let reason = "there are no words to make a vocabulary of".to_string();
            return Err(ClipError::Tokenizer { what: "words".into(), reason });
        }
        let count = order.len() as u32;
        let specials = [UNKNOWN, START, END].map(str::to_string);
        let vocab: Map<String, Value> =
            order.into_iter().chain(specials).zip(0..).map(|(t, i)| (t, json!(i))).collect();
        let model = json!({ "type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN });
        let split = json!({ "type": "WhitespaceSplit" });
        Self::build("words", model, split, Value::Null, count + 1, count + 2)
    }

    fn build(
        what: &str,
        model: Value,
        pre_tokenizer: Value,
        decoder: Value,
        start: u32,
        end: u32,
    ) -> Result<Self, ClipError> {
        let special = |id: u32, content: &str| {
            json!({
                "id": id, "content": content, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        };
        let definition = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [special(start, START), special(end, END)],
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "NFC" },
                { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
                { "type": "Lowercase" },
            ]},
            "pre_tokenizer": pre_tokenizer,
            "post_processor": {
                "type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                "trim_offsets": false, "add_prefix_space": false,
            },
            "decoder": decoder,
            "model": model,
        });
        Self::parse(&definition.to_string(), what)
    }

    fn parse(definition: &str, what: &str) -> Result<Self, ClipError> {
        let wrong = |reason: String| ClipError::Tokenizer { what: what.into(), reason };
        let inner = Tokenizer::from_str(definition)
            .map_err(|e| wrong(format!("this is not a tokenizer definition: {e}")))?;
        let id = |token: &str| {
            inner.token_to_id(token).ok_or_else(|| wrong(format!("it has no token {token}")))
        };
        let (start, end) = (id(START)?, id(END)?);
        Ok(Self { inner, start, end })
    }

    /// Reads a `tokenizer.json` of the `tokenizers` library.
    ///
    /// # Errors
    /// A missing or malformed file, or one without CLIP's start and end tokens.
    pub fn from_file(path: &Path) -> Result<Self, ClipError> {
        let text = fs::read_to_string(path).map_err(|source| ClipError::read(path, source))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Writes `tokenizer.json` and what `transformers` wants beside it into a folder.
    ///
    /// # Errors
    /// [`ClipError::Io`] where writing fails.
    pub fn save(&self, dir: &Path) -> Result<(), ClipError> {
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|source| ClipError::write(&path, source))
        };
        let definition = self.inner.to_string(false).map_err(|e| ClipError::Tokenizer {
            what: dir.display().to_string(),
            reason: e.to_string(),
        })?;
        write("tokenizer.json", definition)?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": START,
            "eos_token": END,
            "pad_token": END,
            "unk_token": END,
            "model_input_names": ["input_ids", "attention_mask"],
        });
        write("tokenizer_config.json", format!("{config:#}\n"))
    }

    /// Token ids of one caption: start token, text, end token; at most `context_length` of them,
    /// the last always the end token.
    ///
    /// # Errors
    /// [`ClipError::Tokenizer`] for a text that the definition cannot express.
    pub fn encode(&self, text: &str, context_length: usize) -> Result<Vec<u32>, ClipError> {
        let encoding = self.inner.encode_fast(clean(text), true);
        let encoding = encoding.map_err(|e| self.failed(e.to_string()))?;
        Ok(self.cut(encoding.get_ids(), context_length))
    }

    /// Token ids of many captions, in order.
    ///
    /// # Errors
    /// Those of [`ClipTokenizer::encode`].
    pub fn encode_batch<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        context_length: usize,
    ) -> Result<Vec<Vec<u32>>, ClipError> {
        let texts: Vec<String> = texts.iter().map(|text| clean(text.as_ref())).collect();
        let encodings = self.inner.encode_batch_fast(texts, true);
        let encodings = encodings.map_err(|e| self.failed(e.to_string()))?;
        Ok(encodings.iter().map(|e| self.cut(e.get_ids(), context_length)).collect())
    }

    fn cut(&self, ids: &[u32], context_length: usize) -> Vec<u32> {
        let mut ids = ids[..ids.len().min(context_length)].to_vec();
        if let Some(last) = ids.last_mut() {
            *last = self.end;
        }
        ids
    }

    fn failed(&self, reason: String) -> ClipError {
        ClipError::Tokenizer { what: "encoding".into(), reason }
    }

    /// Number of ids.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Id of the start token.
    pub fn bos_id(&self) -> u32 {
        self.start
    }

    /// Id of the end token.
    pub fn eos_id(&self) -> u32 {
        self.end
    }
}

/// The printable character that stands for each byte, in the order of their ids: printable bytes
/// stand for themselves and come first, the others follow from U+0100 on.
fn byte_characters() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=u8::MAX).filter(|byte| !printable(byte)).count() as u32;
    let printable = (0..=u8::MAX).filter(printable).map(char::from);
    printable.chain((0..others).filter_map(|i| char::from_u32(0x100 + i))).collect()
}
