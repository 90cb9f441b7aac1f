#![no_main]

use finecap_data::{CaptionFile, FineCapEval, ReadOptions, Summary};

// Files of captions in any format, as they are for training, for scores and without images.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for (captions_only, lenient) in [(false, false), (true, true)] {
        let options = ReadOptions { captions_only, lenient, ..ReadOptions::default() };
        if let Ok(file) = CaptionFile::parse(bytes, "fuzz", &options) {
            assert!(file.records.iter().any(|record| !record.captions.is_empty()));
            assert!(file.records.iter().all(|record| !record.name.trim().is_empty()));
            Summary::of(&file);
            if let Ok(pairs) = file.names().pair(&file.names()) {
                assert!(pairs.iter().enumerate().all(|(image, own)| *own == Some(image)));
            }
        }
    }
    let _ = FineCapEval::parse(bytes, "fuzz");
});
