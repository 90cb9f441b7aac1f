#![no_main]

use finecap_data::{CaptionFile, ReadOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.tar");
    std::fs::write(&path, data).unwrap();
    let options = ReadOptions { lenient: data.len() % 2 == 0, ..Default::default() };
    if let Ok(file) = CaptionFile::read(&path, &options) {
        for picture in file.records.iter().filter_map(|record| record.picture.as_ref()) {
            let _ = picture.picture();
        }
    }
});
