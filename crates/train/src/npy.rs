//! NumPy's `.npy` files: float arrays, written and read row by row.
//!
//! The format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::f16;

use crate::TrainError;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The header is written with room for any number of rows, which is known only at the end.
const HEADER: usize = 128;
/// The longest header that is read, in bytes.
const MAX_HEADER: usize = 1 << 16;

/// How numbers lie in a file, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    F16,
    F32,
    F64,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// An array that is read row by row, in C order.
pub struct NpyReader<R> {
    source: R,
    path: PathBuf,
    kind: Kind,
    shape: Vec<usize>,
    rows_read: usize,
}

impl NpyReader<BufReader<File>> {
    /// Opens a `.npy` file and checks that it is as long as its header says.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and for a file that can't be opened or has another length.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let file = File::open(path).map_err(TrainError::io("read", path))?;
        let mut reader = Self::new(BufReader::new(file), path)?;
        let io = |error| TrainError::io("read", path)(error);
        let start = reader.source.stream_position().map_err(io)?;
        let found = reader.source.get_ref().metadata().map_err(io)?.len() - start;
        let expected = reader.shape.iter().product::<usize>() as u64 * reader.kind.bytes() as u64;
        if found != expected {
            let problem = format!(
                "holds {found} bytes of numbers where its header promises {expected}: it was cut short or damaged, make it again"
            );
            return Err(TrainError::file(path, problem));
        }
        Ok(reader)
    }
}

impl<R: Read> NpyReader<R> {
    /// Begins to read an array from anywhere; `path` names it in errors.
    ///
    /// # Errors
    /// What is not a `.npy` file; numbers that are not little-endian float16, float32 or float64;
    /// Fortran order; no dimensions.
    pub fn new(mut source: R, path: &Path) -> Result<Self, TrainError> {
        let wrong = |problem: String| TrainError::file(path, problem);
        let cut = |_| wrong("is not a .npy file, or cut short: save it with numpy.save".into());
        let mut start = [0; 8];
        source.read_exact(&mut start).map_err(cut)?;
        if !start.starts_with(MAGIC) {
            return Err(cut(std::io::ErrorKind::InvalidData.into()));
        }
        let length = if start[6] == 1 {
            let mut length = [0; 2];
            source.read_exact(&mut length).map_err(cut)?;
            u16::from_le_bytes(length).into()
        } else {
            let mut length = [0; 4];
            source.read_exact(&mut length).map_err(cut)?;
            u32::from_le_bytes(length) as usize
        };
        if length > MAX_HEADER {
            return Err(wrong(format!("has a header of {length} bytes, too long to be true")));
        }
        let mut header = vec![0; length];
        source.read_exact(&mut header).map_err(cut)?;
        let header = String::from_utf8_lossy(&header).into_owned();
        let (kind, shape) = parse(&header).map_err(wrong)?;
        Ok(Self { source, path: path.to_path_buf(), kind, shape, rows_read: 0 })
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
        let rows = count.min(self.rows() - self.rows_read);
        let wanted = (rows * self.row_len() * self.kind.bytes()) as u64;
        // Grows with what is there, whatever the header promises.
        let mut bytes = Vec::new();
        let read = (&mut self.source).take(wanted).read_to_end(&mut bytes);
        read.map_err(TrainError::io("read", &self.path))?;
        if bytes.len() as u64 != wanted {
            return Err(TrainError::file(&self.path, "is cut short: make it again"));
        }
        self.rows_read += rows;
        Ok(match self.kind {
            Kind::F16 => {
                bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
            }
            Kind::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Kind::F64 => {
                bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()
            }
        })
    }

    /// All rows that are left, as float32.
    ///
    /// # Errors
    /// Those of [`read_rows`](Self::read_rows).
    pub fn read_all(&mut self) -> Result<Vec<f32>, TrainError> {
        self.read_rows(usize::MAX)
    }
}

/// Kind and shape from a header, a Python dictionary such as
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(header: &str) -> Result<(Kind, Vec<usize>), String> {
    let value = |key: &str| {
        let at = header.find(&format!("'{key}'"))?;
        header[at..].split_once(':').map(|(_, value)| value.trim_start())
    };
    let missing = || "has no header of a .npy file: save it with numpy.save".to_string();
    let descr = value("descr").ok_or_else(missing)?;
    let kind = match descr.get(..5) {
        Some("'<f2'") => Kind::F16,
        Some("'<f4'") => Kind::F32,
        Some("'<f8'") => Kind::F64,
        _ => {
            let found = descr.split_once(',').map_or(descr, |(found, _)| found).trim();
            return Err(format!(
                "holds numbers of type {found}, but little-endian floats are needed: save it with numpy.save(file, array.astype('<f4'))"
            ));
        }
    };
    if value("fortran_order").ok_or_else(missing)?.starts_with("True") {
        return Err(
            "is in Fortran order: save it with numpy.save(file, numpy.ascontiguousarray(array))"
                .into(),
        );
    }
    let shape = value("shape").and_then(|value| value.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or_else(missing)?;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Vec<usize> =
        sides.map(|side| side.parse().map_err(|_| missing())).collect::<Result<_, _>>()?;
    let most = (isize::MAX as usize) / 8;
    let size = shape.iter().try_fold(1usize, |size, &side| size.checked_mul(side));
    if shape.is_empty() || size.is_none_or(|size| size > most) {
        return Err(format!("has the shape ({shape:?}), but rows of numbers are needed"));
    }
    Ok((kind, shape))
}

/// A `.npy` file of float32 that grows row by row and appears, whole, under its name at the end.
///
/// Dropped before [`finish`](Self::finish), it leaves nothing behind.
pub struct NpyWriter {
    file: Option<BufWriter<File>>,
    path: PathBuf,
    temporary: PathBuf,
    row_shape: Vec<usize>,
    values: usize,
}

impl NpyWriter {
    /// Begins a file whose rows have the shape `row_shape`.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn create(path: &Path, row_shape: &[usize]) -> Result<Self, TrainError> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.new"));
        let io = |error| TrainError::io("write", path)(error);
        let mut file = BufWriter::new(File::create(&temporary).map_err(io)?);
        file.write_all(&[0; HEADER]).map_err(io)?;
        let (path, row_shape) = (path.to_path_buf(), row_shape.to_vec());
        Ok(Self { file: Some(file), path, temporary, row_shape, values: 0 })
    }

    /// Appends whole rows.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn write_rows(&mut self, values: &[f32]) -> Result<(), TrainError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        for value in values {
            file.write_all(&value.to_le_bytes())
                .map_err(TrainError::io("write", &self.temporary))?;
        }
        self.values += values.len();
        Ok(())
    }

    /// Writes the header, flushes everything to disk and gives the file its name.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn finish(mut self) -> Result<(), TrainError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let rows = self.values / self.row_shape.iter().product::<usize>().max(1);
        let header = header(rows, &self.row_shape);
        let write = || -> std::io::Result<()> {
            let mut file = file.into_inner().map_err(|error| error.into_error())?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&header)?;
            file.sync_all()?;
            fs::rename(&self.temporary, &self.path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&self.temporary);
            TrainError::io("write", &self.path)(error)
        })
    }
}

impl Drop for NpyWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn header(rows: usize, row_shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = row_shape.iter().map(usize::to_string).collect();
    // Python's tuple of one number keeps its comma.
    let shape = match sides.join(", ") {
        none if none.is_empty() => format!("({rows},)"),
        sides => format!("({rows}, {sides})"),
    };
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(((HEADER - 10) as u16).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
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
        let mut writer = NpyWriter::create(&path, &[2]).unwrap();
        writer.write_rows(&[1.0, 2.0]).unwrap();
        assert!(!path.exists());
        writer.write_rows(&[3.0, 4.0, f32::MIN_POSITIVE, -0.0]).unwrap();
        writer.finish().unwrap();
        let start = fs::read(&path).unwrap();
        let start = String::from_utf8_lossy(&start[10..HEADER]).into_owned();
        assert!(start.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"));
        let mut reader = NpyReader::open(&path).unwrap();
        assert_eq!((reader.shape(), reader.rows(), reader.row_len()), (&[3, 2][..], 3, 2));
        assert_eq!(reader.read_rows(1).unwrap(), [1.0, 2.0]);
        assert_eq!(reader.read_all().unwrap(), [3.0, 4.0, f32::MIN_POSITIVE, -0.0]);
        assert!(reader.read_rows(1).unwrap().is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_rows_and_flat_rows_have_pythons_shapes() {
        let text = |rows, shape: &[usize]| String::from_utf8(header(rows, shape)[10..].to_vec());
        assert!(text(0, &[3]).unwrap().contains("'shape': (0, 3), }"));
        assert!(text(7, &[]).unwrap().contains("'shape': (7,), }"));
        assert!(text(7, &[3, 4, 4]).unwrap().contains("'shape': (7, 3, 4, 4), }"));
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = NpyWriter::create(&dir.path().join("a.npy"), &[2]).unwrap();
        writer.write_rows(&[1.0, 2.0]).unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
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
            (bytes(&good.replace("(1, 2)", "(1, x)"), &numbers), "no header"),
            (bytes(&good.replace("(1, 2)", "(9999999999999, 9999999999999)"), &[]), "rows of"),
            (bytes("{}", &numbers), "no header"),
        ] {
            fs::write(&path, content).unwrap();
            let error = NpyReader::open(&path).err().unwrap().to_string();
            assert!(error.contains(expected) && error.contains("x.npy"), "{error}");
        }
    }
}
