//! METEOR's score, from counts that add up over a corpus.

/// Ways of matching: equal words, equal stems, synonyms, paraphrases.
pub(crate) const STAGES: usize = 4;

/// METEOR's parameters for English, tuned to rank translations.
const ALPHA: f64 = 0.85;
const BETA: f64 = 0.2;
const GAMMA: f64 = 0.6;
const DELTA: f64 = 0.75;
const WEIGHTS: [f64; STAGES] = [1.0, 0.6, 0.8, 0.6];

/// What METEOR counts in a caption beside a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeteorStatistics {
    /// Words of the caption.
    pub length: u32,
    /// Words of the reference.
    pub reference_length: u32,
    /// Words of the caption that are function words.
    pub function_words: u32,
    /// Words of the reference that are function words.
    pub reference_function_words: u32,
    /// Matched content words of the caption: as they are, by stem, by synonym, by paraphrase.
    pub content: [u32; STAGES],
    /// Matched content words of the reference.
    pub reference_content: [u32; STAGES],
    /// Matched function words of the caption.
    pub function: [u32; STAGES],
    /// Matched function words of the reference.
    pub reference_function: [u32; STAGES],
    /// Runs of matches that are in order and without gaps in both.
    pub chunks: u32,
}

impl MeteorStatistics {
    /// The score, between 0 and 1.
    pub fn score(&self) -> f64 {
        Sum::from(self).score()
    }
}

/// Statistics of many captions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    /// Of the caption, then of the reference.
    sides: [Side; 2],
    chunks: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Side {
    length: u64,
    function_words: u64,
    content: [u64; STAGES],
    function: [u64; STAGES],
}

impl Side {
    fn of(length: u32, function_words: u32, content: &[u32; 4], function: &[u32; 4]) -> Self {
        Self {
            length: length.into(),
            function_words: function_words.into(),
            content: content.map(u64::from),
            function: function.map(u64::from),
        }
    }

    fn add(&mut self, other: &Self) {
        self.length += other.length;
        self.function_words += other.function_words;
        for stage in 0..STAGES {
            self.content[stage] += other.content[stage];
            self.function[stage] += other.function[stage];
        }
    }

    fn matches(&self) -> u64 {
        self.content.iter().chain(&self.function).sum()
    }

    /// Weighted matches over weighted length.
    fn share(&self) -> f64 {
        let length = DELTA * (self.length - self.function_words) as f64
            + (1.0 - DELTA) * self.function_words as f64;
        let mut matches = 0.0;
        for (count, weight) in self.content.iter().zip(WEIGHTS) {
            matches += *count as f64 * weight * DELTA;
        }
        for (count, weight) in self.function.iter().zip(WEIGHTS) {
            matches += *count as f64 * weight * (1.0 - DELTA);
        }
        matches / length
    }
}

impl From<&MeteorStatistics> for Sum {
    fn from(of: &MeteorStatistics) -> Self {
        Self {
            sides: [
                Side::of(of.length, of.function_words, &of.content, &of.function),
                Side::of(
                    of.reference_length,
                    of.reference_function_words,
                    &of.reference_content,
                    &of.reference_function,
                ),
            ],
            chunks: of.chunks.into(),
        }
    }
}

impl Sum {
    /// Adds a caption; the chunk of one that is its reference does not count against the corpus.
    pub(crate) fn add(&mut self, statistics: &MeteorStatistics) {
        let other = Self::from(statistics);
        if !other.is_whole() {
            self.chunks += other.chunks;
        }
        for (side, other) in self.sides.iter_mut().zip(&other.sides) {
            side.add(other);
        }
    }

    /// Every word is matched, in one chunk.
    fn is_whole(&self) -> bool {
        self.chunks == 1 && self.sides.iter().all(|side| side.matches() == side.length)
    }

    pub(crate) fn score(&self) -> f64 {
        let [precision, recall] = self.sides.map(|side| side.share());
        let mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall);
        let matches: u64 = self.sides.iter().map(Side::matches).sum();
        let fragments =
            if self.is_whole() { 0.0 } else { self.chunks as f64 / (matches as f64 / 2.0) };
        let score = mean * (1.0 - GAMMA * fragments.powf(BETA));
        // No word or no match: a division of 0 by 0.
        if score.is_nan() { 0.0 } else { score.max(0.0) }
    }
}
