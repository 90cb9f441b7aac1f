#![no_main]

mod read;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // The header ends at the first zero byte, which JSON cannot hold.
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let length = (end as u64).to_le_bytes();
    read::everything([&length, &data[..end], data.get(end + 1..).unwrap_or_default()].concat());
});
