//! NumPy's `.npy` files: arrays of floats, read row by row and written whole.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use finecap_files::write_file;
use half::f16;
use npyz::{DType, NpyFile, NpyHeader, Order, WriteOptions, WriterBuilder};

use crate::TrainError;

/// Rows are reserved for at most this many numbers ahead, whatever a header promises.
const MAX_RESERVED: usize = 1 << 20;

/// An array that is read row by row, in C order.
pub struct NpyReader<R: Read> {
    numbers: Numbers<R>,
    path: PathBuf,
    shape: Vec<usize>,
}

enum Numbers<R: Read> {
    F16(npyz::NpyReader<f16, R>),
    F32(npyz::NpyReader<f32, R>),
    F64(npyz::NpyReader<f64, R>),
}

impl NpyReader<BufReader<File>> {
    /// Opens a `.npy` file and checks that it is as long as its header says.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and for a file that can't be opened or has another length.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let io = |error| TrainError::io("read", path)(error);
        let mut source = BufReader::new(File::open(path).map_err(io)?);
        let header = NpyHeader::from_reader(&mut source).map_err(|error| unread(path, &error))?;
        let (shape, bytes) = check(&header).map_err(|problem| TrainError::file(path, problem))?;
        let start = source.stream_position().map_err(io)?;
        let found = source.get_ref().metadata().map_err(io)?.len().saturating_sub(start);
        let expected = shape.iter().product::<usize>() as u64 * bytes;
        if found != expected {
            let problem = format!(
                "holds {found} bytes of numbers where its header promises {expected}: it was cut short or damaged, make it again"
            );
            return Err(TrainError::file(path, problem));
        }
        Self::with_header(header, source, shape, path)
    }
}

impl<R: Read> NpyReader<R> {
    /// Begins to read an array from anywhere; `path` names it in errors.
    ///
    /// # Errors
    /// What is not a `.npy` file; numbers that are not little-endian float16, float32 or float64;
    /// Fortran order; no dimensions.
    pub fn new(mut source: R, path: &Path) -> Result<Self, TrainError> {
        let header = NpyHeader::from_reader(&mut source).map_err(|error| unread(path, &error))?;
        let (shape, _) = check(&header).map_err(|problem| TrainError::file(path, problem))?;
        Self::with_header(header, source, shape, path)
    }

    fn with_header(
        header: NpyHeader,
        source: R,
        shape: Vec<usize>,
        path: &Path,
    ) -> Result<Self, TrainError> {
        let kind = header.dtype().descr();
        let file = NpyFile::with_header(header, source);
        let wrong = |error: npyz::DTypeError| TrainError::file(path, error.to_string());
        let numbers = match kind.as_str() {
            "'<f2'" => Numbers::F16(file.data().map_err(wrong)?),
            "'<f4'" => Numbers::F32(file.data().map_err(wrong)?),
            _ => Numbers::F64(file.data().map_err(wrong)?),
        };
        Ok(Self { numbers, path: path.to_path_buf(), shape })
    }

    /// Lengths of all dimensions; the first counts the rows. At least one.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// Numbers in each row.
    pub fn row_len(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The next rows, at most `count`, as float32; empty at the end.
    ///
    /// # Errors
    /// For a file that is cut short.
    pub fn read_rows(&mut self, count: usize) -> Result<Vec<f32>, TrainError> {
        let wanted = count.saturating_mul(self.row_len());
        match &mut self.numbers {
            Numbers::F16(numbers) => take(numbers, wanted, &self.path, f16::to_f32),
            Numbers::F32(numbers) => take(numbers, wanted, &self.path, |x| x),
            Numbers::F64(numbers) => take(numbers, wanted, &self.path, |x| x as f32),
        }
    }

    /// All rows that are left, as float32.
    ///
    /// # Errors
    /// Those of [`read_rows`](Self::read_rows).
    pub fn read_all(&mut self) -> Result<Vec<f32>, TrainError> {
        self.read_rows(usize::MAX)
    }
}

fn take<T: npyz::Deserialize, R: Read>(
    numbers: &mut npyz::NpyReader<T, R>,
    wanted: usize,
    path: &Path,
    to: impl Fn(T) -> f32,
) -> Result<Vec<f32>, TrainError> {
    let left = usize::try_from(numbers.len()).unwrap_or(usize::MAX);
    let mut values = Vec::with_capacity(wanted.min(left).min(MAX_RESERVED));
    for number in numbers.take(wanted) {
        let cut = |_| TrainError::file(path, "is cut short: make it again");
        values.push(to(number.map_err(cut)?));
    }
    Ok(values)
}

fn unread(path: &Path, error: &std::io::Error) -> TrainError {
    let reason = error.to_string();
    // Parsers repeat the text that they refuse, which may be long.
    let reason = reason.lines().next().unwrap_or_default();
    let problem = format!("is not a .npy file, or damaged ({reason}): save it with numpy.save");
    TrainError::file(path, problem)
}

/// The shape, and the bytes of a number.
fn check(header: &NpyHeader) -> Result<(Vec<usize>, u64), String> {
    let kind = header.dtype().descr();
    let bytes = match (header.dtype(), kind.as_str()) {
        (DType::Plain(_), "'<f2'") => 2,
        (DType::Plain(_), "'<f4'") => 4,
        (DType::Plain(_), "'<f8'") => 8,
        _ => {
            return Err(format!(
                "holds numbers of type {kind}, but little-endian floats are needed: save it with numpy.save(file, array.astype('<f4'))"
            ));
        }
    };
    if header.order() == Order::Fortran && header.shape().len() > 1 {
        return Err(
            "is in Fortran order: save it with numpy.save(file, numpy.ascontiguousarray(array))"
                .into(),
        );
    }
    let sides: Option<Vec<usize>> =
        header.shape().iter().map(|&side| usize::try_from(side).ok()).collect();
    // Also a product of the sides of empty arrays must be a number.
    let most = (isize::MAX as usize) / 8;
    let fits = |sides: &[usize]| {
        let size = sides.iter().try_fold(1usize, |size, &side| size.checked_mul(side.max(1)));
        size.is_some_and(|size| size <= most)
    };
    match sides {
        Some(sides) if !sides.is_empty() && fits(&sides) => Ok((sides, bytes)),
        _ => Err(format!("has the shape {:?}, but rows of numbers are needed", header.shape())),
    }
}

/// Writes an array of float32 of the shape `[rows, row_shape..]`; the file appears whole.
///
/// # Errors
/// [`TrainError::Files`] or [`TrainError::Io`], as of a full disk or another number of values.
pub fn write_npy(
    path: &Path,
    rows: usize,
    row_shape: &[usize],
    values: impl IntoIterator<Item = f32>,
) -> Result<(), TrainError> {
    try_write_npy(path, rows, row_shape, values.into_iter().map(Ok))
}

/// [`write_npy`] of values that are read from somewhere.
pub(crate) fn try_write_npy(
    path: &Path,
    rows: usize,
    row_shape: &[usize],
    values: impl IntoIterator<Item = std::io::Result<f32>>,
) -> Result<(), TrainError> {
    let shape: Vec<u64> = [rows].iter().chain(row_shape).map(|&side| side as u64).collect();
    write_file(path, |file| {
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(file);
            let options = WriteOptions::new().default_dtype().shape(&shape);
            let mut writer = options.writer(&mut file).begin_nd()?;
            for value in values {
                writer.push(&value?)?;
            }
            writer.finish()?;
            file.flush()
        };
        write().map_err(TrainError::io("write", path))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn bytes(header: &str, numbers: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    #[test]
    fn rows_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        write_npy(&path, 3, &[2], [1.0, 2.0, 3.0, 4.0, f32::MIN_POSITIVE, -0.0]).unwrap();
        let mut reader = NpyReader::open(&path).unwrap();
        assert_eq!((reader.shape(), reader.rows(), reader.row_len()), (&[3, 2][..], 3, 2));
        assert_eq!(reader.read_rows(1).unwrap(), [1.0, 2.0]);
        assert_eq!(reader.read_all().unwrap(), [3.0, 4.0, f32::MIN_POSITIVE, -0.0]);
        assert!(reader.read_rows(1).unwrap().is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn shapes_survive_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        for (rows, shape) in [(0, &[3][..]), (7, &[]), (7, &[3, 4, 4])] {
            let values = vec![0.5; rows * shape.iter().product::<usize>()];
            write_npy(&path, rows, shape, values.clone()).unwrap();
            let mut reader = NpyReader::open(&path).unwrap();
            assert_eq!(reader.shape(), [&[rows], shape].concat());
            assert_eq!(reader.read_all().unwrap(), values);
        }
        assert!(write_npy(&path, 2, &[2], [1.0; 3]).is_err());
        assert_eq!(NpyReader::open(&path).unwrap().rows(), 7);
    }

    #[test]
    fn half_and_double_floats_are_read() {
        let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }\n";
        let half = bytes(header, &[0x00, 0x3c, 0x00, 0xc0]);
        let mut reader = NpyReader::new(&half[..], Path::new("h")).unwrap();
        assert_eq!(reader.read_all().unwrap(), [1.0, -2.0]);
        let double = bytes(&header.replace("f2", "f8").replace("2,", "1,"), &1.5f64.to_le_bytes());
        let mut reader = NpyReader::new(&double[..], Path::new("d")).unwrap();
        assert_eq!(reader.read_all().unwrap(), [1.5]);
    }

    #[test]
    fn what_is_wrong_is_named_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
        let numbers = [0; 8];
        for (content, expected) in [
            (b"".to_vec(), "not a .npy file"),
            (b"PK\x03\x04 not an array".to_vec(), "not a .npy file"),
            (bytes(good, &numbers)[..20].to_vec(), "not a .npy file"),
            (bytes(good, &numbers[..7]), "7 bytes of numbers where its header promises 8"),
            (bytes(good, &[0; 9]), "9 bytes"),
            (bytes(&good.replace("<f4", ">f4"), &numbers), "type '>f4'"),
            (bytes(&good.replace("<f4", "<i8"), &numbers), "astype('<f4')"),
            (bytes(&good.replace("<f4", "|O"), &numbers), "type '|O'"),
            (bytes(&good.replace("False", "True"), &numbers), "Fortran order"),
            (bytes(&good.replace("(1, 2)", "()"), &numbers), "rows of numbers"),
            (bytes(&good.replace("(1, 2)", "(1, x)"), &numbers), "not a .npy file"),
            (bytes(&good.replace("(1, 2)", "(9999999999999, 9999999999999)"), &[]), "rows of"),
            (bytes("{}", &numbers), "not a .npy file"),
            (bytes(&"(".repeat(60_000), &numbers), "not a .npy file"),
            (bytes(&good.replace("(1, 2)", "(0, 1099511627776, 1099511627776)"), &[]), "rows of"),
        ] {
            fs::write(&path, content).unwrap();
            let error = NpyReader::open(&path).err().unwrap().to_string();
            assert!(error.contains(expected) && error.contains("x.npy"), "{error}");
        }
    }
}
