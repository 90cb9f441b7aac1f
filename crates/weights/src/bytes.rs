//! A file's bytes, mapped into memory where there is a file.

use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;

use memmap2::Mmap;

use crate::WeightsError;

/// Pages of smaller pieces are not worth giving back.
const RELEASE_FROM: usize = 1 << 20;

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Bytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    pub(crate) fn map(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(failed)?;
        // SAFETY: the map is only read. A file that another process cuts short meanwhile ends
        // this process, which is why the documentation asks not to write to open files.
        let map = unsafe { Mmap::map(&file) }.map_err(failed)?;
        Ok(Self::Mapped(map))
    }

    /// Lets the system take back the memory of a range that was read. Reading it again works.
    pub(crate) fn release(&self, range: &Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self
            && range.len() >= RELEASE_FROM
        {
            // SAFETY: the map is shared and never written to, so dropped pages are read from
            // the file again. Advice that the system rejects changes nothing.
            let advice = memmap2::UncheckedAdvice::DontNeed;
            let _ = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
