//! A pickle's bytes, taken piece by piece.

use std::sync::Arc;

use crate::error::Fault;

/// Bytes and a place in them.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        match self.bytes[self.position..].split_at_checked(length) {
            Some((taken, _)) => {
                self.position += length;
                Ok(taken)
            }
            None => Fault::damaged(format!("its pickle breaks off at byte {}", self.position)),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Bytes behind a length of one byte.
    pub(crate) fn bytes1(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.byte()?.into();
        self.take(length)
    }

    /// Bytes behind a length of four bytes.
    pub(crate) fn bytes4(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// Bytes behind a length of eight bytes.
    pub(crate) fn bytes8(&mut self) -> Result<&'a [u8], Fault> {
        let length = u64::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    pub(crate) fn text1(&mut self) -> Result<Arc<str>, Fault> {
        text(self.bytes1()?)
    }

    pub(crate) fn text4(&mut self) -> Result<Arc<str>, Fault> {
        text(self.bytes4()?)
    }

    pub(crate) fn text8(&mut self) -> Result<Arc<str>, Fault> {
        text(self.bytes8()?)
    }

    /// Text up to the end of a line, which is taken too.
    pub(crate) fn line(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.bytes[self.position..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Fault::damaged(format!("its pickle breaks off at byte {}", self.position));
        };
        self.position += length + 1;
        std::str::from_utf8(&rest[..length]).or_else(|_| not_text())
    }
}

/// Text in UTF-8. Halves of surrogate pairs, which Python lets pass, become replacement marks.
fn text(bytes: &[u8]) -> Result<Arc<str>, Fault> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) if bytes.contains(&0xed) => Ok(String::from_utf8_lossy(bytes).into()),
        Err(_) => not_text(),
    }
}

fn not_text<T>() -> Result<T, Fault> {
    Fault::damaged("a text in its pickle is not UTF-8")
}
