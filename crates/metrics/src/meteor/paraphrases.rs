//! The paraphrase table: pairs of phrases that may stand for each other.

use std::io::{self, BufRead};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::WordIds;

/// The part of the table that the captions at hand can use.
///
/// The table has five million pairs, of which some captions can only use those whose words they
/// have, next to each other. It is read once from start to end and only these are kept.
#[derive(Debug)]
pub(crate) struct Paraphrases {
    /// A tree over the words of the phrases: from a node and a word to the next node.
    steps: FxHashMap<(u32, u32), u32>,
    /// For each node, its phrase's paraphrases in the order of the table, by place in `words`.
    ends: Vec<Vec<(u32, u32)>>,
    words: Vec<u32>,
}

impl Paraphrases {
    /// No phrase at all.
    pub(crate) fn empty() -> Self {
        Self { steps: FxHashMap::default(), ends: vec![Vec::new()], words: Vec::new() }
    }

    /// Reads the table: for each pair a line with its probability, the phrase, its paraphrase.
    ///
    /// # Errors
    /// Whatever reading says, and [`io::ErrorKind::UnexpectedEof`] for a pair that is not whole.
    pub(crate) fn read(mut table: impl BufRead, captions: &Phrases) -> io::Result<Self> {
        let mut found = Self::empty();
        let (mut phrase, mut line) = (Vec::new(), Vec::new());
        let (mut source, mut target) = (Vec::new(), Vec::new());
        // Many pairs in a row have the same phrase.
        let mut known = false;
        while table.skip_until(b'\n')? > 0 {
            line.clear();
            table.read_until(b'\n', &mut line)?;
            if line != phrase {
                known = captions.parse(&line, &mut source);
                std::mem::swap(&mut line, &mut phrase);
            }
            if !known {
                if table.skip_until(b'\n')? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            line.clear();
            if table.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if captions.parse(&line, &mut target) {
                found.insert(&source, &target);
            }
        }
        Ok(found)
    }

    fn insert(&mut self, phrase: &[u32], paraphrase: &[u32]) {
        let mut node = 0;
        for &word in phrase {
            let next = self.ends.len() as u32;
            node = *self.steps.entry((node, word)).or_insert(next);
            if node == next {
                self.ends.push(Vec::new());
            }
        }
        let start = self.words.len() as u32;
        self.words.extend_from_slice(paraphrase);
        self.ends[node as usize].push((start, self.words.len() as u32));
    }

    /// The paraphrases of all phrases at the start of some words, short phrases first, each with
    /// the number of words that it replaces.
    pub(crate) fn of<'a>(
        &'a self,
        words: &'a [u32],
    ) -> impl Iterator<Item = (usize, &'a [u32])> + 'a {
        let mut node = Some(0);
        let ends = words.iter().enumerate().map_while(move |(i, &word)| {
            node = self.steps.get(&(node?, word)).copied();
            Some((i + 1, &self.ends[node? as usize]))
        });
        ends.flat_map(move |(length, ends)| {
            ends.iter().map(move |&(a, b)| (length, &self.words[a as usize..b as usize]))
        })
    }
}

/// The words of some captions, and which of them stand next to each other.
#[derive(Debug, Default)]
pub(crate) struct Phrases {
    pub(crate) words: WordIds,
    neighbours: FxHashSet<(u32, u32)>,
}

impl Phrases {
    /// The numbers of a caption's words, which are remembered.
    pub(crate) fn caption(&mut self, words: &str) -> Vec<u32> {
        let caption: Vec<u32> =
            words.split_ascii_whitespace().map(|word| self.words.id(word)).collect();
        self.neighbours.extend(caption.windows(2).map(|pair| (pair[0], pair[1])));
        caption
    }

    /// Cuts a line into words; false if no caption has them in this order.
    fn parse(&self, line: &[u8], ids: &mut Vec<u32>) -> bool {
        ids.clear();
        let Ok(line) = std::str::from_utf8(line) else { return false };
        for word in line.split_ascii_whitespace() {
            let Some(id) = self.words.get(word) else { return false };
            if ids.last().is_some_and(|&last| !self.neighbours.contains(&(last, id))) {
                return false;
            }
            ids.push(id);
        }
        !ids.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captions() -> Phrases {
        let mut phrases = Phrases::default();
        phrases.caption("a man next to a dog");
        phrases.caption("near dogs");
        phrases
    }

    #[test]
    fn only_phrases_of_the_captions_are_kept() {
        let table =
            "0.5\nnext to\nnear\n0.5\nnext to\nbeside\n0.5\nto next\nnear\n0.1\nnext\na dog\n";
        let captions = captions();
        let found = Paraphrases::read(table.as_bytes(), &captions).unwrap();
        let ids = |text: &str| -> Vec<u32> {
            text.split(' ').map(|word| captions.words.get(word).unwrap()).collect()
        };
        let words = ids("next to a dog");
        let expected = [(1, ids("a dog")), (2, ids("near"))];
        assert!(found.of(&words).eq(expected.iter().map(|(n, ids)| (*n, &ids[..]))));
        assert_eq!(found.of(&words[1..]).count(), 0);
        assert_eq!(found.ends.iter().flatten().count(), 2);
    }

    #[test]
    fn a_table_that_is_cut_off_is_an_error() {
        for table in ["0.5\nnext to\n", "0.5\nelsewhere\n", "0.5\n"] {
            let error = Paraphrases::read(table.as_bytes(), &captions()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
