#![no_main]

use finecap_data::decode_image;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(picture) = decode_image(data, "fuzzed") {
        let (width, height) = (picture.width(), picture.height());
        assert_eq!(picture.into_rgb().dimensions(), (width, height));
    }
});
