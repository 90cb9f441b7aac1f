//! Zip archives.
use crate::error::Fault;
use crate::file::{Contents, Format};
pub(crate) fn read(_: &[u8]) -> Result<(Format, Contents), Fault> {
    Err(Fault::Format("is a zip archive".into()))
}
pub(crate) fn unpack(_: &[u8], _: usize, _: usize) -> Result<Vec<u8>, Fault> {
    Fault::damaged("an entry")
}
