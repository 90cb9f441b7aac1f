#![no_main]

mod read;

/// How a file of PyTorch before 1.6 begins: magic number, version, an empty system record.
const BEGINNING: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

libfuzzer_sys::fuzz_target!(|data: &[u8]| read::everything([BEGINNING, data].concat()));
