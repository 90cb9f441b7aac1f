//! Zip archives of `torch.save` and `torch.jit.save`.

use std::io::{Cursor, Read};
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use crate::error::Fault;
use crate::file::{Contents, Format, Storage};
use crate::{pickle, pickled};

/// The pickle holds no elements of tensors: a model's takes less than a megabyte.
const MAX_PICKLE: usize = 256 << 20;
/// How many times its size a storage may unpack to, beyond a megabyte. Weights hardly compress.
const MAX_RATIO: usize = 16;

/// Reads the pickle; tensors stay where they are.
pub(crate) fn read(bytes: &[u8]) -> Result<(Format, Contents), Fault> {
    let mut zip = open(bytes)?;
    let names: Vec<String> =
        zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let root = names.iter().find_map(|name| {
        name.strip_suffix("data.pkl").filter(|root| root.find('/') == root.len().checked_sub(1))
    });
    let Some(root) = root else {
        return Err(Fault::Format("is a zip archive that PyTorch did not write".into()));
    };
    if let Some(entry) = find(&zip, &format!("{root}byteorder"))
        && load(bytes, &mut zip, entry, 16)?.trim_ascii() != b"little"
    {
        return Fault::refused("it was written on a big-endian machine");
    }
    let script = names.iter().any(|name| {
        name.strip_prefix(root).is_some_and(|n| n == "constants.pkl" || n.starts_with("code/"))
    });
    let entry = find(&zip, &format!("{root}data.pkl")).unwrap_or_default();
    let pickle = pickle::read(&load(bytes, &mut zip, entry, MAX_PICKLE)?)?;
    let contents = pickled::contents(&pickle, |index| {
        let reference = &pickle.storages[index];
        let key = &reference.key;
        let Some(entry) = find(&zip, &format!("{root}data/{key}")) else {
            return Fault::damaged(format!("storage `{key}` is absent"));
        };
        let (storage, packed) = place(bytes, &mut zip, entry)?;
        if storage.len().saturating_sub(1 << 20) / MAX_RATIO > packed {
            return Fault::refused("its archive is compressed too much");
        }
        let size = reference.elements.checked_mul(reference.dtype.bits() / 8);
        if size.is_none_or(|size| size > storage.len()) {
            return Fault::damaged(format!("storage `{key}` is shorter than its tensors"));
        }
        Ok(storage)
    })?;
    Ok((if script { Format::TorchScript } else { Format::PyTorch }, contents))
}

/// Unpacks a compressed entry.
pub(crate) fn unpack(bytes: &[u8], entry: usize, size: usize) -> Result<Vec<u8>, Fault> {
    let mut zip = open(bytes)?;
    let mut file = zip.by_index(entry).map_err(damaged)?;
    let mut unpacked = Vec::with_capacity(size);
    // One byte more than promised, to see when there is more.
    file.by_ref()
        .take(size as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|e| Fault::Damaged(format!("entry {entry}: {e}")))?;
    if unpacked.len() != size {
        return Fault::damaged(format!("entry {entry} has not the size it promises"));
    }
    Ok(unpacked)
}

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn open(bytes: &[u8]) -> Result<Zip<'_>, Fault> {
    ZipArchive::new(Cursor::new(bytes)).map_err(damaged)
}

fn damaged(error: zip::result::ZipError) -> Fault {
    Fault::Damaged(format!("zip archive: {error}"))
}

fn find(zip: &Zip, name: &str) -> Option<usize> {
    zip.index_for_name(name)
}

/// Where an entry's bytes are, and how many there are in the file.
fn place(bytes: &[u8], zip: &mut Zip, entry: usize) -> Result<(Storage, usize), Fault> {
    let file = zip.by_index_raw(entry).map_err(damaged)?;
    if file.encrypted() {
        return Fault::refused("an entry of its archive is encrypted");
    }
    let packed = usize::try_from(file.compressed_size()).unwrap_or(usize::MAX);
    let size = usize::try_from(file.size()).unwrap_or(usize::MAX);
    let start = file.data_start().and_then(|start| usize::try_from(start).ok());
    let range: Option<Range<usize>> = start
        .and_then(|start| Some(start..start.checked_add(packed)?))
        .filter(|range| range.end <= bytes.len());
    let Some(range) = range else {
        return Fault::damaged("an entry of its archive reaches beyond the end");
    };
    match file.compression() {
        CompressionMethod::Stored if packed == size => Ok((Storage::Piece(range), packed)),
        CompressionMethod::Stored => Fault::damaged("an entry of its archive has two sizes"),
        CompressionMethod::Deflated => Ok((Storage::Packed(entry, size), packed)),
        _ => Fault::refused("its archive is compressed in an unusual way"),
    }
}

/// An entry's bytes, if they are no more than `most`.
fn load<'a>(
    bytes: &'a [u8],
    zip: &mut Zip<'a>,
    entry: usize,
    most: usize,
) -> Result<std::borrow::Cow<'a, [u8]>, Fault> {
    let (storage, _) = place(bytes, zip, entry)?;
    if storage.len() > most {
        return Fault::refused(format!("an entry of its archive has more than {most} bytes"));
    }
    match storage {
        Storage::Piece(range) => Ok(bytes[range].into()),
        Storage::Packed(entry, size) => Ok(unpack(bytes, entry, size)?.into()),
    }
}
