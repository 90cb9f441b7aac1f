//! The alignment of a caption with one reference.

use super::paraphrases::Paraphrases;
use super::search::{Match, Proposals, Span};
use super::statistics::MeteorStatistics;

/// What the stages ask of a word. Words are the same to METEOR if their hashes are.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) hash: i32,
    pub(crate) stem_hash: i32,
    /// Sets of synonyms, in order.
    pub(crate) synsets: Box<[u32]>,
    pub(crate) is_function: bool,
}

impl Word {
    fn shares_synset(&self, other: &Self) -> bool {
        let (mut a, mut b) = (&*self.synsets, &*other.synsets);
        while let ([first, rest @ ..], [other_first, other_rest @ ..]) = (a, b) {
            match first.cmp(other_first) {
                std::cmp::Ordering::Less => a = rest,
                std::cmp::Ordering::Greater => b = other_rest,
                std::cmp::Ordering::Equal => return true,
            }
        }
        false
    }
}

/// Words as numbers: places in `words`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aligner<'a> {
    pub(crate) words: &'a [Word],
    pub(crate) paraphrases: &'a Paraphrases,
}

impl Aligner<'_> {
    /// Aligns a caption with a reference and counts.
    pub(crate) fn align(&self, candidate: &[u32], reference: &[u32]) -> MeteorStatistics {
        let mut proposals = Proposals::new(candidate.len(), reference.len());
        let hash = |&word: &u32| self.word(word).hash;
        if candidate.iter().map(hash).eq(reference.iter().map(hash)) {
            self.propose_words(1, candidate, reference, &mut proposals);
        } else {
            self.propose_words(3, candidate, reference, &mut proposals);
            self.propose_phrases(candidate, reference, &mut proposals);
        }
        self.count(candidate, reference, &proposals.resolve())
    }

    fn word(&self, word: u32) -> &Word {
        &self.words[word as usize]
    }

    /// The first of the stages 0 to 2: equal words, equal stems, synonyms.
    fn propose_words(
        &self,
        stages: usize,
        candidate: &[u32],
        reference: &[u32],
        proposals: &mut Proposals,
    ) {
        let rules: [fn(&Word, &Word) -> bool; 3] = [
            |a, b| a.hash == b.hash,
            |a, b| a.stem_hash == b.stem_hash && a.hash != b.hash,
            |a, b| a.shares_synset(b) && a.hash != b.hash,
        ];
        for (stage, matches) in rules.iter().enumerate().take(stages) {
            for (to, &wanted) in reference.iter().enumerate() {
                for (from, &word) in candidate.iter().enumerate() {
                    if matches(self.word(word), self.word(wanted)) {
                        proposals.add(Match {
                            stage,
                            candidate: Span { start: from, length: 1 },
                            reference: Span { start: to, length: 1 },
                        });
                    }
                }
            }
        }
    }

    /// Stage 3: paraphrases of the reference in the caption, then of the caption in the reference.
    fn propose_phrases(&self, candidate: &[u32], reference: &[u32], proposals: &mut Proposals) {
        self.phrases(reference, candidate, |reference, candidate| {
            proposals.add(Match { stage: 3, candidate, reference });
        });
        self.phrases(candidate, reference, |candidate, reference| {
            proposals.add(Match { stage: 3, candidate, reference });
        });
    }

    fn phrases(&self, from: &[u32], to: &[u32], mut found: impl FnMut(Span, Span)) {
        // Most paraphrases begin with a word that isn't there.
        let mut there = 0u128;
        to.iter().for_each(|word| there |= 1 << (word % 128));
        for start in 0..from.len() {
            for (length, paraphrase) in self.paraphrases.of(&from[start..]) {
                if there >> (paraphrase[0] % 128) & 1 == 0 {
                    continue;
                }
                for (place, words) in to.windows(paraphrase.len()).enumerate() {
                    if words == paraphrase {
                        found(
                            Span { start, length },
                            Span { start: place, length: paraphrase.len() },
                        );
                    }
                }
            }
        }
    }

    /// The statistics of an alignment, its matches in the order of the reference.
    fn count(&self, candidate: &[u32], reference: &[u32], alignment: &[Match]) -> MeteorStatistics {
        let functions = |words: &[u32]| {
            words.iter().filter(|&&word| self.word(word).is_function).count() as u32
        };
        let mut found = MeteorStatistics {
            length: candidate.len() as u32,
            reference_length: reference.len() as u32,
            function_words: functions(candidate),
            reference_function_words: functions(reference),
            ..MeteorStatistics::default()
        };
        for m in alignment {
            let here = &candidate[m.candidate.start..m.candidate.end()];
            let there = &reference[m.reference.start..m.reference.end()];
            let (function, reference_function) = (functions(here), functions(there));
            found.function[m.stage] += function;
            found.content[m.stage] += here.len() as u32 - function;
            found.reference_function[m.stage] += reference_function;
            found.reference_content[m.stage] += there.len() as u32 - reference_function;
        }
        let follows = |a: &Match, b: &Match| {
            a.reference.end() == b.reference.start && a.candidate.end() == b.candidate.start
        };
        found.chunks = alignment.chunk_by(follows).count() as u32;
        found
    }
}
