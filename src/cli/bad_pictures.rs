//! Pictures that can't be read, among many.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use finecap::train::{KeptRows, TrainError};

#[derive(Args, Clone, Copy)]
pub struct BadPictures {
    /// Go on after pictures that can't be read, and list them: `nan` leaves a row of NaN (in JSON
    /// null) for each, `drop` leaves none. Without this the first one ends the command, and
    /// --resume goes on.
    #[arg(long, value_name = "HOW")]
    skip_bad: Option<SkipBad>,
    /// Go on with what an earlier call has left unfinished.
    #[arg(long)]
    pub resume: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SkipBad {
    /// A row of NaN.
    Nan,
    /// No row.
    Drop,
}

/// The places of the pictures that were skipped.
pub struct Skipped {
    how: Option<SkipBad>,
    places: BTreeSet<usize>,
}

impl Skipped {
    pub fn new(how: &BadPictures) -> Self {
        Self { how: how.skip_bad, places: BTreeSet::new() }
    }

    /// Finds those that an earlier call has skipped: their rows hold NaN.
    pub fn recall(&mut self, rows: &mut KeptRows, names: &[String]) -> Result<()> {
        let mut first = None;
        for (place, row) in rows.each()?.enumerate() {
            if row?.iter().all(|value| value.is_nan()) {
                first.get_or_insert(place);
                self.places.insert(place);
            }
        }
        if let (Some(first), None) = (first, self.how) {
            bail!(
                "an earlier call has skipped pictures, as {}: give --skip-bad again, or begin anew \
                 without --resume",
                names.get(first).map_or("", String::as_str)
            );
        }
        Ok(())
    }

    /// Takes note of pictures that could not be read, one line for each to `show`; `kept` were done
    /// before.
    ///
    /// # Errors
    /// The first of them, unless they are to be skipped.
    pub fn note(
        &mut self,
        failed: Vec<(usize, TrainError)>,
        kept: usize,
        mut show: impl FnMut(&str),
    ) -> Result<()> {
        for (place, error) in failed {
            if self.how.is_none() {
                match kept {
                    0 => bail!("{error}; mend it, or pass over it with --skip-bad nan (or drop)"),
                    _ => bail!(
                        "{error}; {kept} pictures before it are kept: mend it and go on with --resume, or \
                         pass over it with --resume --skip-bad nan (or drop)"
                    ),
                }
            }
            show(&format!("skipped: {error}"));
            self.places.insert(place);
        }
        Ok(())
    }

    /// Whether the picture at this place was skipped.
    pub fn contains(&self, place: usize) -> bool {
        self.places.contains(&place)
    }

    /// Whether there is a row for the picture at this place.
    pub fn keeps(&self, place: usize) -> bool {
        self.how != Some(SkipBad::Drop) || !self.contains(place)
    }

    /// Says how many there were.
    pub fn report(&self, total: usize) {
        if !self.places.is_empty() {
            let n = self.places.len();
            let how = if self.how == Some(SkipBad::Drop) { "left out" } else { "set to NaN" };
            eprintln!("{n} of {total} pictures could not be read and were {how}");
        }
    }
}
