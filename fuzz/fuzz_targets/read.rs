//! What every target does with a file.

use finecap_weights::WeightFile;

/// Opens a file and reads every tensor. Errors are fine.
pub fn everything(bytes: Vec<u8>) {
    let Ok(file) = WeightFile::from_bytes("fuzz".as_ref(), bytes) else { return };
    for tensor in file.tensors() {
        if let Ok(values) = file.read_f32(&tensor.name) {
            assert_eq!(values.len(), tensor.elements());
        }
        if let Ok(values) = file.read_i64(&tensor.name) {
            assert_eq!(values.len(), tensor.elements());
        }
    }
    // Walks the whole tree.
    let _ = format!("{:?}", file.values()).len();
}
