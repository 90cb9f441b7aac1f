#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|data: &[u8]| read::everything(data.to_vec()));
