//! Captions to token ids: CLIP's BPE, or a small vocabulary of whole words.

mod assets;
mod clean;
mod entities;
mod file;
mod openai;
mod words;

use std::sync::Arc;

use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use crate::ClipError;

/// The token before every caption.
const BOS: &str = "<|startoftext|>";
/// The token after every caption, at which CLIP reads the caption's embedding.
const EOS: &str = "<|endoftext|>";

/// How captions are cleaned and split before the vocabulary is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// CLIP's byte-pair encoding with open_clip's cleaning.
    Bpe,
    /// Whole words and punctuation marks, in lower case.
    Words,
}

/// Turns captions into token ids. Cloning is cheap: clones share one vocabulary.
#[derive(Clone, Debug)]
pub struct ClipTokenizer {
    inner: Arc<Tokenizer>,
    kind: Kind,
    bos: u32,
    eos: u32,
    pad: u32,
    size: usize,
}

/// A part of a caption: text to split, or a special token spelled out.
enum Piece {
    Text(String),
    Id(u32),
}

impl ClipTokenizer {
    /// The ids of a caption between the start and the end token, not padded.
    ///
    /// A caption that is too long loses its tail and keeps its end token: never more than
    /// `context_length` ids. Text is only text: the special tokens' names in a caption are split
    /// like other words. (One exception, as in open_clip: its own spellings `<start_of_text>` and
    /// `<end_of_text>` are the special tokens in CLIP's vocabulary.)
    ///
    /// # Errors
    /// [`ClipError::Tokenizer`] for a text that the vocabulary cannot express. None is known:
    /// both kinds of vocabulary have a token for what they don't know.
    pub fn encode(&self, caption: &str, context_length: usize) -> Result<Vec<u32>, ClipError> {
        Ok(self.encode_batch(&[caption], context_length)?.swap_remove(0))
    }

    /// [`encode`](Self::encode) for many captions at once, in their order, on several threads.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_batch<S: AsRef<str>>(
        &self,
        captions: &[S],
        context_length: usize,
    ) -> Result<Vec<Vec<u32>>, ClipError> {
        let mut pieces: Vec<Vec<Piece>> =
            captions.iter().map(|caption| self.pieces(caption.as_ref())).collect();
        let texts: Vec<String> = (pieces.iter_mut().flatten())
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(std::mem::take(text)),
                Piece::Id(_) => None,
            })
            .collect();
        let encodings = self.inner.encode_batch_fast(texts, false);
        let mut encodings = encodings.map_err(|reason| error("encoding", reason))?.into_iter();
        let rows = pieces.iter().map(|pieces| {
            let mut ids = vec![self.bos];
            for piece in pieces {
                match piece {
                    Piece::Id(id) => ids.push(*id),
                    Piece::Text(_) => {
                        let encoding = encodings.next();
                        ids.extend(encoding.iter().flat_map(|encoding| encoding.get_ids()));
                    }
                }
            }
            ids.push(self.eos);
            self.cut(ids, context_length)
        });
        Ok(rows.collect())
    }

    /// One more than the largest id: the rows that a token embedding needs.
    pub fn vocab_size(&self) -> usize {
        self.size
    }

    /// The id of the token before every caption.
    pub fn bos_id(&self) -> u32 {
        self.bos
    }

    /// The id of the token after every caption, at which CLIP reads the caption's embedding.
    pub fn eos_id(&self) -> u32 {
        self.eos
    }

    /// The id that fills rows after the end token: 0. What stands there never matters, because
    /// CLIP's text tower looks back only; in OpenAI's vocabulary 0 is also the token "!".
    pub fn pad_id(&self) -> u32 {
        self.pad
    }

    /// A tokenizer around a vocabulary that holds the special tokens.
    fn new(model: impl Into<ModelWrapper>, kind: Kind) -> Result<Self, String> {
        let mut inner = Tokenizer::new(model);
        let id = |name: &str| {
            (inner.token_to_id(name)).ok_or(format!("the vocabulary lacks the token {name}"))
        };
        let (bos, eos) = (id(BOS)?, id(EOS)?);
        let size = inner.get_vocab(true).values().max().map_or(0, |last| *last as usize + 1);
        match kind {
            Kind::Bpe => inner.with_pre_tokenizer(Some(openai::splitter()?)),
            Kind::Words => inner
                .with_normalizer(Some(words::normalizer()))
                .map_err(|error| error.to_string())?
                .with_pre_tokenizer(Some(words::splitter())),
        };
        inner.with_post_processor(Some(template(bos, eos)?));
        let specials: Vec<AddedToken> = (special_names(kind).iter())
            .map(|name| AddedToken::from(*name, true).normalized(false))
            .collect();
        inner.add_special_tokens(specials).map_err(|error| error.to_string())?;
        // A caption cannot spell a special token.
        inner.set_encode_special_tokens(true);
        Ok(Self { inner: Arc::new(inner), kind, bos, eos, pad: 0, size })
    }

    /// The parts of a caption, ready for the vocabulary.
    fn pieces(&self, caption: &str) -> Vec<Piece> {
        match self.kind {
            Kind::Bpe => openai::pieces(&clean::clean(caption), self.bos, self.eos),
            Kind::Words => vec![Piece::Text(caption.to_string())],
        }
    }

    /// The start of a row that is too long, with the end token in the last place.
    fn cut(&self, mut ids: Vec<u32>, context_length: usize) -> Vec<u32> {
        if ids.len() > context_length {
            ids.truncate(context_length);
            if let Some(last) = ids.last_mut() {
                *last = self.eos;
            }
        }
        ids
    }
}

/// The special tokens of a kind of vocabulary.
fn special_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Bpe => &[BOS, EOS],
        Kind::Words => &[words::PAD, words::UNKNOWN, BOS, EOS],
    }
}

/// What other programs put around a caption when they read the saved file.
fn template(bos: u32, eos: u32) -> Result<TemplateProcessing, String> {
    TemplateProcessing::builder()
        .try_single(format!("{BOS} $A {EOS}"))?
        .try_pair(format!("{BOS} $A {EOS} {BOS}:1 $B:1 {EOS}:1"))?
        .special_tokens(vec![(BOS, bos), (EOS, eos)])
        .build()
        .map_err(|error| error.to_string())
}

/// The error of a tokenizer.
fn error(what: impl Into<String>, reason: impl ToString) -> ClipError {
    ClipError::Tokenizer { what: what.into(), reason: reason.to_string() }
}
