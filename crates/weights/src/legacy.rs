//! Old PyTorch files.
use crate::error::Fault;
use crate::file::Contents;
pub(crate) fn is_legacy(_: &[u8]) -> bool {
    false
}
pub(crate) fn read(_: &[u8]) -> Result<Contents, Fault> {
    Fault::damaged("an entry")
}
