//! OpenAI's vocabulary for CLIP: 49,408 byte pairs, and how its text is split.

use std::sync::OnceLock;

use tokenizers::SplitDelimiterBehavior;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::utils::SysRegex;

use super::{BOS, ClipTokenizer, EOS, Kind, Piece, assets, error};
use crate::ClipError;

/// The mark of a word's last piece.
pub(super) const END_OF_WORD: &str = "</w>";
/// What open_clip calls the special tokens, and finds in captions.
const SPELLED: [&str; 2] = ["<start_of_text>", "<end_of_text>"];
/// The words of a cleaned text: open_clip's pattern. Ignoring case matters beyond ASCII only (the
/// long s), and makes U+0345 neither letter nor mark in Python's `regex`.
const WORDS: &str = concat!(
    r"(?i:<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d)",
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}\x{345}]+"
);

impl ClipTokenizer {
    /// OpenAI's tokenizer, whose vocabulary is part of this crate: the same ids as open_clip's.
    /// The first call builds it (under a tenth of a second), later calls share it.
    ///
    /// # Errors
    /// None as long as the bundled vocabulary is whole, which is tested.
    pub fn openai() -> Result<Self, ClipError> {
        static BUILT: OnceLock<Result<ClipTokenizer, String>> = OnceLock::new();
        (BUILT.get_or_init(|| Self::new(bpe(&assets::clip_merges()?)?, Kind::Bpe)).clone())
            .map_err(|reason| error("openai", reason))
    }
}

/// The model of a list of merges, one pair a line. The vocabulary follows from it: the 256 bytes,
/// the 256 bytes that end a word, one token for each merge, the special tokens.
fn bpe(merges: &str) -> Result<BPE, String> {
    let merges: Vec<(String, String)> = (merges.lines())
        .filter_map(|line| line.split_once(' '))
        .map(|(left, right)| (left.to_string(), right.to_string()))
        .collect();
    let bytes = byte_symbols();
    let vocabulary: Vocab = (bytes.iter().map(char::to_string))
        .chain(bytes.iter().map(|byte| format!("{byte}{END_OF_WORD}")))
        .chain(merges.iter().map(|(left, right)| format!("{left}{right}")))
        .chain([BOS.to_string(), EOS.to_string()])
        .zip(0..)
        .collect();
    BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .unk_token(EOS.to_string())
        .end_of_word_suffix(END_OF_WORD.to_string())
        .build()
        .map_err(|error| error.to_string())
}

/// The characters that stand for bytes, in the order of their ids: first the bytes that Latin-1
/// prints, as themselves, then the others, as the characters from U+0100 on.
fn byte_symbols() -> Vec<char> {
    let printed = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(|byte| !printed(byte)).count() as u32;
    (0..=u8::MAX)
        .filter(printed)
        .map(char::from)
        .chain((0x100..0x100 + others).filter_map(char::from_u32))
        .collect()
}

/// Splits text into words, and those into the characters that stand for their bytes.
pub(super) fn splitter() -> Result<Sequence, String> {
    let words =
        Split::new(SplitPattern::Regex(WORDS.to_string()), SplitDelimiterBehavior::Removed, true)
            .map_err(|error| error.to_string())?;
    let bytes = ByteLevel::new(false, true, false);
    Ok(Sequence::new(vec![
        PreTokenizerWrapper::Split(words),
        PreTokenizerWrapper::ByteLevel(bytes),
    ]))
}

/// The parts of a cleaned text.
pub(super) fn pieces(text: &str, bos: u32, eos: u32) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut done = 0;
    for (start, end) in spelled(text) {
        pieces.push(Piece::Text(text[done..start].to_string()));
        pieces.push(Piece::Id(if text[start..end] == *SPELLED[0] { bos } else { eos }));
        done = end;
    }
    pieces.push(Piece::Text(text[done..].to_string()));
    pieces
}

/// Where the special tokens are spelled out as words of their own. (After another mark a name is
/// part of that run of marks.)
fn spelled(text: &str) -> Vec<(usize, usize)> {
    static PATTERN: OnceLock<SysRegex> = OnceLock::new();
    if !text.contains("_of_text>") {
        return Vec::new();
    }
    let words = PATTERN.get_or_init(|| SysRegex::new(WORDS).expect("the pattern is valid"));
    (words.find_iter(text)).filter(|(start, end)| SPELLED.contains(&&text[*start..*end])).collect()
}
