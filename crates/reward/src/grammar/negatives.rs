//! Corrupted captions, for a grammar head to learn from.

use std::collections::HashSet;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

use crate::RewardError;

/// Most words that one corruption repeats, removes, inserts or swaps, and most repetitions.
const MOST: usize = 3;

/// Draws of one kind before another kind is tried.
const ATTEMPTS: usize = 8;

/// A way to break a caption, with the parameters of Cho et al. (2022).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Corruption {
    /// One to three words in a row are said again one to three times, at random places.
    Repeat,
    /// One to three words in a row are left out.
    Remove,
    /// One to three random words are put in, never at the end.
    Insert,
    /// One to three times a word is replaced by another random one.
    Swap,
    /// All words in random order.
    Shuffle,
}

impl Corruption {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Repeat, Self::Remove, Self::Insert, Self::Swap, Self::Shuffle];

    /// Name in logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repeat => "repeat",
            Self::Remove => "remove",
            Self::Insert => "insert",
            Self::Swap => "swap",
            Self::Shuffle => "shuffle",
        }
    }
}

/// A caption that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negative {
    /// The broken caption, words separated by single spaces; empty where all words were removed.
    pub text: String,
    /// What was done to it.
    pub kind: Corruption,
    /// Draws that were thrown away because they could not be done or changed nothing.
    pub redraws: usize,
    /// Whether another kind had to be taken than the one that was drawn first.
    pub fell_back: bool,
}

/// Breaks captions.
#[derive(Debug, Clone)]
pub struct Negatives {
    vocabulary: Vec<String>,
}

impl Negatives {
    /// Inserts and swaps words of `vocabulary`; what is empty or holds spaces is no word.
    ///
    /// # Errors
    /// [`RewardError::Shape`] for fewer than two different words.
    pub fn new<S: Into<String>>(
        vocabulary: impl IntoIterator<Item = S>,
    ) -> Result<Self, RewardError> {
        let mut seen = HashSet::new();
        let vocabulary: Vec<String> = vocabulary
            .into_iter()
            .map(Into::into)
            // An empty word would change nothing, and one with a space would be several.
            .filter(|word| !word.is_empty() && !word.contains(char::is_whitespace))
            .filter(|word| seen.insert(word.clone()))
            .collect();
        if vocabulary.len() < 2 {
            return Err(RewardError::Shape(
                "negatives need a vocabulary of at least 2 different words".into(),
            ));
        }
        Ok(Self { vocabulary })
    }

    /// A broken version of `caption`, which is never the caption itself.
    ///
    /// The kind is drawn uniformly. Where it is impossible (nothing can be removed from an empty
    /// caption) or changes nothing (a shuffle that gives the same order), it is drawn again, and
    /// after a few attempts another kind is taken. Inserting always works.
    pub fn draw(&self, caption: &str, rng: &mut impl Rng) -> Negative {
        let words: Vec<&str> = caption.split_whitespace().collect();
        let mut kinds = Corruption::ALL;
        kinds.shuffle(rng);
        let mut redraws = 0;
        for (place, kind) in kinds.into_iter().enumerate() {
            for _ in 0..ATTEMPTS {
                match self.corrupt(&words, kind, rng) {
                    Some(broken) if broken != words => {
                        let text = broken.join(" ");
                        return Negative { text, kind, redraws, fell_back: place > 0 };
                    }
                    _ => redraws += 1,
                }
            }
        }
        unreachable!("inserting a word makes a caption longer, so it can't come out unchanged")
    }

    /// One attempt; may change nothing. `None` where the kind can't be done to these words.
    fn corrupt<'a>(
        &'a self,
        words: &[&'a str],
        kind: Corruption,
        rng: &mut impl Rng,
    ) -> Option<Vec<&'a str>> {
        let mut broken = words.to_vec();
        if words.is_empty() && kind != Corruption::Insert {
            return None;
        }
        match kind {
            Corruption::Repeat => {
                let range = ngram(words.len(), rng);
                for _ in 0..rng.random_range(1..=MOST) {
                    let at = rng.random_range(0..=broken.len());
                    broken.splice(at..at, words[range.clone()].iter().copied());
                }
            }
            Corruption::Remove => {
                broken.drain(ngram(words.len(), rng));
            }
            Corruption::Insert => {
                for _ in 0..rng.random_range(1..=MOST) {
                    let at = rng.random_range(0..broken.len().max(1));
                    broken.insert(at, self.word(rng));
                }
            }
            Corruption::Swap => {
                for _ in 0..rng.random_range(1..=MOST) {
                    let at = rng.random_range(0..broken.len());
                    let old = broken[at];
                    broken[at] = std::iter::repeat_with(|| self.word(rng)).find(|w| *w != old)?;
                }
            }
            Corruption::Shuffle => broken.shuffle(rng),
        }
        Some(broken)
    }

    fn word(&self, rng: &mut impl Rng) -> &str {
        self.vocabulary.choose(rng).map_or("", String::as_str)
    }
}

/// A place for one to three words in a row, among `len` (at least 1).
fn ngram(len: usize, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let n = rng.random_range(1..=MOST.min(len));
    let first = rng.random_range(0..=len - n);
    first..first + n
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn negatives() -> Negatives {
        Negatives::new(["a", "red", "dog", "runs", "on", "grass"]).unwrap()
    }

    fn sorted(text: &str) -> Vec<&str> {
        let mut words: Vec<&str> = text.split(' ').collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn every_kind_does_what_it_says() {
        let negatives = negatives();
        let caption = "the small boy kicks a ball over the fence";
        let words: Vec<&str> = caption.split(' ').collect();
        let mut counts: HashMap<Corruption, usize> = HashMap::new();
        for seed in 0..5000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let negative = negatives.draw(caption, &mut rng);
            *counts.entry(negative.kind).or_default() += 1;
            let broken: Vec<&str> = negative.text.split(' ').collect();
            let grown = broken.len() as isize - words.len() as isize;
            match negative.kind {
                Corruption::Repeat => {
                    assert!((1..=9).contains(&grown), "{}", negative.text);
                    assert!(broken.iter().all(|word| words.contains(word)), "{}", negative.text);
                }
                Corruption::Remove => {
                    assert!((-3..=-1).contains(&grown));
                    // What is left is the beginning and the end.
                    let cut = (-grown) as usize;
                    assert!((0..=words.len() - cut).any(|at| {
                        broken[..at] == words[..at] && broken[at..] == words[at + cut..]
                    }));
                }
                Corruption::Insert => {
                    assert!((1..=3).contains(&grown));
                    assert_eq!(broken.last(), words.last());
                }
                Corruption::Swap => {
                    assert_eq!(grown, 0);
                    let changed = broken.iter().zip(&words).filter(|(a, b)| a != b).count();
                    assert!((1..=3).contains(&changed), "{}", negative.text);
                }
                Corruption::Shuffle => assert_eq!(sorted(&negative.text), sorted(caption)),
            }
        }
        // Uniform: 1000 of each expected, standard deviation 28.
        for kind in Corruption::ALL {
            assert!((880..1120).contains(&counts[&kind]), "{counts:?}");
        }
    }

    #[test]
    fn one_word_can_be_broken_but_not_shuffled() {
        let negatives = negatives();
        let mut fallbacks = 0;
        for seed in 0..200 {
            let negative = negatives.draw("dog", &mut ChaCha8Rng::seed_from_u64(seed));
            assert_ne!(negative.kind, Corruption::Shuffle);
            assert_eq!(negative.fell_back, negative.redraws >= ATTEMPTS);
            fallbacks += usize::from(negative.fell_back);
        }
        // One draw in five begins with the shuffle.
        assert!((20..60).contains(&fallbacks), "{fallbacks}");
    }

    #[test]
    fn a_vocabulary_of_one_word_is_refused() {
        for words in [["a", "a"], ["a", ""], ["a", "b c"]] {
            let error = Negatives::new(words).unwrap_err().to_string();
            assert!(error.contains("2 different words"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_negative_is_never_its_positive(
            words in prop::collection::vec(prop::sample::select(vec!["a", "dog", "on", "x"]), 0..6),
            seed in any::<u64>(),
        ) {
            let caption = words.join(" ");
            let negative = negatives().draw(&caption, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert_ne!(negative.text, caption);
        }

        #[test]
        fn any_text_can_be_broken(caption in ".{0,40}", seed in any::<u64>()) {
            let negative = negatives().draw(&caption, &mut ChaCha8Rng::seed_from_u64(seed));
            let words: Vec<&str> = caption.split_whitespace().collect();
            prop_assert_ne!(negative.text, words.join(" "));
        }
    }
}
