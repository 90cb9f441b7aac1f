//! A file as text: unpacked, without a byte order mark, piece by piece.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::DataError;

/// How much of a file is looked at to see what it is.
const HEAD: usize = 1 << 16;
/// A longer line or JSON value is not about one image.
const MAX_PIECE: usize = 1 << 26;

/// How files begin that are no captions, and what to do with them.
const OTHER_FILES: [(&[u8], &str); 17] = [
    (b"\xff\xfe", "is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"PK\x03\x04", "is a zip archive: unpack it, and give the file inside"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd: unpack it (gzip is read as it is)"),
    (b"\xfd7zXZ\0", "is packed with xz: unpack it (gzip is read as it is)"),
    (b"BZh", "is packed with bzip2: unpack it (gzip is read as it is)"),
    (b"PAR1", "is a Parquet file: write its captions as JSON lines or CSV"),
    (b"ARROW1", "is an Arrow file: write its captions as JSON lines or CSV"),
    (b"\x89HDF", "is an HDF5 file: write its captions as JSON lines or CSV"),
    (b"\x93NUMPY", "is a NumPy file: write its captions as JSON lines or CSV"),
    (b"\x89PNG", "is a picture: give the file with the captions"),
    (b"\xff\xd8\xff", "is a picture: give the file with the captions"),
    (b"%PDF", "is a PDF: write its captions as JSON lines or CSV"),
    (
        b"version https://git-lfs",
        "is a pointer of Git LFS: fetch the file itself with `git lfs pull`",
    ),
    (b"<!DOCTYPE", "is a web page: its download went wrong"),
    (b"<html", "is a web page: its download went wrong"),
    (b"<?xml", "is XML: write its captions as JSON lines or CSV"),
];

/// A text file that is read once, from the beginning.
pub(crate) struct Input {
    pub path: PathBuf,
    reader: Box<dyn BufRead>,
    head: Vec<u8>,
    /// Line ends that were passed.
    pub lines: usize,
}

impl Input {
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::new(path, File::open(path).map_err(DataError::io("read", path))?)
    }

    /// The text of `reader`, which errors call `path`.
    pub fn new(path: &Path, mut reader: impl Read + 'static) -> Result<Self, DataError> {
        let failed = || DataError::io("read", path);
        let mut magic = Vec::with_capacity(2);
        reader.by_ref().take(2).read_to_end(&mut magic).map_err(failed())?;
        let zipped = magic == [0x1f, 0x8b];
        let reader = Cursor::new(magic).chain(reader);
        let mut reader: Box<dyn Read> = match zipped {
            true => Box::new(MultiGzDecoder::new(BufReader::new(reader))),
            false => Box::new(reader),
        };
        let mut head = Vec::with_capacity(HEAD);
        let read = reader.by_ref().take(HEAD as u64).read_to_end(&mut head);
        if let Err(error) = read {
            return Err(unreadable(path, error));
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            head.drain(..3);
        }
        if let Some((_, what)) = OTHER_FILES.iter().find(|(start, _)| head.starts_with(start)) {
            return Err(DataError::file(path, *what));
        }
        if head.contains(&0) {
            let what = "is not text: it holds zero bytes, as UTF-16 and binary files do; convert it to UTF-8";
            return Err(DataError::file(path, what));
        }
        let reader = Cursor::new(head.clone()).chain(BufReader::with_capacity(1 << 18, reader));
        Ok(Self { path: path.to_path_buf(), reader: Box::new(reader), head, lines: 0 })
    }

    /// The first bytes, of which nothing is read yet.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The next bytes; empty at the end.
    pub fn fill(&mut self) -> Result<&[u8], DataError> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(unreadable(&self.path, error));
            }
        }
        self.reader.fill_buf().map_err(|error| unreadable(&self.path, error))
    }

    pub fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }

    /// Reads a line without its end into `line`; `false` at the end of the file.
    pub fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, DataError> {
        line.clear();
        loop {
            let chunk = self.fill()?;
            if chunk.is_empty() {
                self.lines += usize::from(!line.is_empty());
                return Ok(!line.is_empty());
            }
            let end = memchr::memchr(b'\n', chunk);
            line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.consume(used);
            self.check_length(line.len())?;
            if end.is_some() {
                self.lines += 1;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(true);
            }
        }
    }

    /// The text of a line that was read, checked.
    pub fn text<'a>(&self, line: &'a [u8]) -> Result<&'a str, DataError> {
        let text = std::str::from_utf8(line).map_err(|_| self.error(self.lines, NOT_UTF8))?;
        match text.bytes().any(|b| b == b'\r' || b == 0) {
            true if text.contains('\0') => {
                Err(self.error(self.lines, "holds a zero byte: is it text?"))
            }
            true => {
                Err(self.error(self.lines, "holds a carriage return: end lines with \\n or \\r\\n"))
            }
            false => Ok(text),
        }
    }

    pub fn check_length(&self, bytes: usize) -> Result<(), DataError> {
        match bytes > MAX_PIECE {
            true => {
                Err(self.error(self.lines + 1, "is longer than the captions of an image can be"))
            }
            false => Ok(()),
        }
    }

    pub fn error(&self, line: usize, problem: impl std::fmt::Display) -> DataError {
        DataError::file(&self.path, format!("line {line}: {problem}"))
    }
}

pub(crate) const NOT_UTF8: &str =
    "is not UTF-8: convert the file, as with `iconv -f LATIN1 -t UTF-8` if it is Latin-1";

fn unreadable(path: &Path, error: io::Error) -> DataError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            DataError::file(path, "is a gzip file that was cut off: get it anew")
        }
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DataError::file(path, format!("is a damaged gzip file ({error}): get it anew"))
        }
        _ => DataError::io("read", path)(error),
    }
}
