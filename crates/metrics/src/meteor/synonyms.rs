//! Synonyms by WordNet, as METEOR's files list them.

use rustc_hash::FxHashMap;

/// Which sets of synonyms a word belongs to.
#[derive(Debug, Default)]
pub(crate) struct Synonyms {
    /// Places of a base form in `sets`.
    bases: FxHashMap<Box<str>, (u32, u32)>,
    sets: Vec<u32>,
    /// Base forms of inflected words that no ending explains.
    exceptions: FxHashMap<Box<str>, Vec<Box<str>>>,
}

/// Endings and what stands in their place in the base form, by part of speech: the first that
/// leads to a known word counts.
const ENDINGS: [(&str, &str); 20] = [
    // Nouns.
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    // Verbs.
    ("s", ""),
    ("ies", "y"),
    ("es", "e"),
    ("es", ""),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    // Adjectives.
    ("er", ""),
    ("est", ""),
    ("er", "e"),
    ("est", "e"),
];

impl Synonyms {
    /// Reads `english.synsets` (a word, then the numbers of its sets) and `english.exceptions` (a
    /// base form, then its inflected forms), each entry two lines.
    ///
    /// # Errors
    /// The number of a line that is not as it should be.
    pub(crate) fn new(synsets: &str, exceptions: &str) -> Result<Self, usize> {
        let mut found = Self::default();
        let mut lines = synsets.lines().enumerate();
        while let (Some((_, word)), Some((number, list))) = (lines.next(), lines.next()) {
            let start = found.sets.len() as u32;
            for set in list.split_ascii_whitespace() {
                found.sets.push(set.parse().map_err(|_| number + 1)?);
            }
            found.bases.insert(word.into(), (start, found.sets.len() as u32));
        }
        let mut lines = exceptions.lines();
        while let (Some(base), Some(list)) = (lines.next(), lines.next()) {
            for form in list.split_ascii_whitespace() {
                found.exceptions.entry(form.into()).or_default().push(base.into());
            }
        }
        Ok(found)
    }

    /// The sets of a word and of its base forms, in order, each once.
    pub(crate) fn sets(&self, word: &str) -> Vec<u32> {
        let mut sets = self.base(word).unwrap_or_default().to_vec();
        match self.exceptions.get(word) {
            Some(bases) => {
                sets.extend(bases.iter().filter_map(|base| self.base(base)).flatten());
            }
            None => sets.extend_from_slice(self.by_ending(word).unwrap_or_default()),
        }
        sets.sort_unstable();
        sets.dedup();
        sets
    }

    fn base(&self, word: &str) -> Option<&[u32]> {
        let &(start, end) = self.bases.get(word)?;
        Some(&self.sets[start as usize..end as usize])
    }

    fn by_ending(&self, word: &str) -> Option<&[u32]> {
        if word.ends_with("ss") || word.encode_utf16().count() <= 2 {
            return self.base(word);
        }
        let known = |(ending, instead): &(&str, &str)| {
            let stem = word.strip_suffix(ending)?;
            self.base(&format!("{stem}{instead}"))
        };
        // The original also asks for the empty word, which is in no list.
        ENDINGS.iter().find_map(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_forms_come_from_exceptions_or_endings() {
        let synonyms =
            Synonyms::new("box\n1\nmouse\n2 3\nas\n4\nglass\n5\n", "mouse\nmice\n").unwrap();
        assert_eq!(synonyms.sets("boxes"), [1]);
        assert_eq!(synonyms.sets("mice"), [2, 3]);
        assert_eq!(synonyms.sets("as"), [4]);
        assert_eq!(synonyms.sets("glass"), [5]);
        assert!(synonyms.sets("glasss").is_empty());
    }

    #[test]
    fn a_line_without_numbers_is_named() {
        assert_eq!(Synonyms::new("box\n1\nmouse\nmice\n", "").unwrap_err(), 4);
    }
}
