//! The search for the best alignment among the matches that the stages propose.
//!
//! A match that competes with no other is taken at once; between the rest a beam search over the
//! reference's words decides. It prefers many matched words, then few chunks, then short distances,
//! and it counts as the original does, slips included, because they decide which of two alignments
//! wins.

use std::cmp::Reverse;

use super::statistics::STAGES;

/// Alignments kept at each word.
const BEAM: usize = 40;
/// What a matched word of each stage counts in the search (not in the score).
const SEARCH_WEIGHTS: [f64; STAGES] = [1.0, 0.5, 0.5, 0.5];

/// Words in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Span {
    pub(super) fn end(self) -> usize {
        self.start + self.length
    }
}

/// Words of the caption that stand for words of the reference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub(super) stage: usize,
    pub(super) candidate: Span,
    pub(super) reference: Span,
}

/// What the stages have proposed.
pub(super) struct Proposals {
    /// Matches by the place where they start in the reference, in the order they were found.
    by_start: Vec<Vec<Match>>,
    /// How many matches want each word.
    candidate: Vec<u32>,
    reference: Vec<u32>,
}

impl Proposals {
    pub(super) fn new(candidate: usize, reference: usize) -> Self {
        Self {
            by_start: vec![Vec::new(); reference],
            candidate: vec![0; candidate],
            reference: vec![0; reference],
        }
    }

    pub(super) fn add(&mut self, m: Match) {
        self.by_start[m.reference.start].push(m);
        self.candidate[m.candidate.start..m.candidate.end()].iter_mut().for_each(|n| *n += 1);
        self.reference[m.reference.start..m.reference.end()].iter_mut().for_each(|n| *n += 1);
    }

    /// The matches that nothing competes with, by where they start in the reference.
    fn certain(&self) -> Vec<Option<Match>> {
        let alone = |m: &Match| {
            self.candidate[m.candidate.start..m.candidate.end()].iter().all(|&n| n == 1)
                && self.reference[m.reference.start..m.reference.end()].iter().all(|&n| n == 1)
        };
        let certain = |matches: &Vec<Match>| match matches[..] {
            [m] if alone(&m) => Some(m),
            _ => None,
        };
        self.by_start.iter().map(certain).collect()
    }

    /// The best alignment that the search finds, in the order of the reference.
    pub(super) fn resolve(&self) -> Vec<Match> {
        let certain = self.certain();
        let mut start = Partial::new(self.candidate.len(), self.reference.len());
        certain.iter().flatten().for_each(|m| start.occupy(m));
        let mut links: Vec<(Match, Option<usize>)> = Vec::new();
        let mut open = vec![start];
        let mut next = Vec::new();
        for (place, matches) in self.by_start.iter().enumerate() {
            open.sort_by_key(Partial::rank);
            open.truncate(BEAM);
            for mut partial in open.drain(..) {
                if partial.reference[place] {
                    if partial.next <= place
                        && let Some(m) = &certain[place]
                    {
                        partial.take(m);
                        partial.distance += m.candidate.start.abs_diff(m.reference.start);
                    }
                    next.push(partial);
                    continue;
                }
                for m in matches {
                    if partial.is_occupied(m) {
                        continue;
                    }
                    let mut with = partial.clone();
                    with.occupy(m);
                    with.take(m);
                    with.chosen = Some(links.len());
                    links.push((*m, partial.chosen));
                    // The original adds the distance of a match to the alignment without it.
                    partial.distance += m.candidate.start.abs_diff(m.reference.start);
                    next.push(with);
                }
                partial.end_chunk();
                partial.next += 1;
                next.push(partial);
            }
            std::mem::swap(&mut open, &mut next);
        }
        open.sort_by_key(Partial::rank);
        open.truncate(BEAM);
        open.iter_mut().for_each(Partial::end_chunk);
        let best = open.iter().min_by_key(|partial| partial.rank());
        let mut alignment: Vec<Match> = certain.into_iter().flatten().collect();
        let mut link = best.and_then(|partial| partial.chosen);
        while let Some((m, before)) = link.map(|link| links[link]) {
            alignment.push(m);
            link = before;
        }
        alignment.sort_unstable_by_key(|m| m.reference.start);
        alignment
    }
}

/// An alignment up to some word of the reference.
#[derive(Debug, Clone)]
struct Partial {
    /// Weighted matched words, rounded down after each match as in the original.
    matched: [u32; 2],
    chunks: usize,
    distance: usize,
    /// First word of the reference that is not decided.
    next: usize,
    /// Where the last match ends in the caption, if it ends right before `next`.
    last_end: Option<usize>,
    /// The last match that was chosen, a place in the list of links.
    chosen: Option<usize>,
    /// Words that are taken.
    candidate: Vec<bool>,
    reference: Vec<bool>,
}

impl Partial {
    fn new(candidate: usize, reference: usize) -> Self {
        Self {
            matched: [0; 2],
            chunks: 0,
            distance: 0,
            next: 0,
            last_end: None,
            chosen: None,
            candidate: vec![false; candidate],
            reference: vec![false; reference],
        }
    }

    /// Small is good.
    fn rank(&self) -> (Reverse<u32>, usize, usize) {
        (Reverse(self.matched[0] + self.matched[1]), self.chunks, self.distance)
    }

    fn is_occupied(&self, m: &Match) -> bool {
        self.candidate[m.candidate.start..m.candidate.end()].contains(&true)
            || self.reference[m.reference.start..m.reference.end()].contains(&true)
    }

    fn occupy(&mut self, m: &Match) {
        self.candidate[m.candidate.start..m.candidate.end()].fill(true);
        self.reference[m.reference.start..m.reference.end()].fill(true);
    }

    fn take(&mut self, m: &Match) {
        let weight = SEARCH_WEIGHTS[m.stage];
        for (matched, span) in self.matched.iter_mut().zip([m.candidate, m.reference]) {
            *matched = (f64::from(*matched) + span.length as f64 * weight) as u32;
        }
        if self.last_end.is_some_and(|end| end != m.candidate.start) {
            self.chunks += 1;
        }
        self.next = m.reference.end();
        self.last_end = Some(m.candidate.end());
    }

    fn end_chunk(&mut self) {
        if self.last_end.take().is_some() {
            self.chunks += 1;
        }
    }
}
