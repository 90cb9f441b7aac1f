#![no_main]

use finecap_train::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, data).unwrap();
    if let Ok(config) = Config::read(Some(&path), &[]) {
        // What was accepted is written and read back.
        let again = dir.path().join("again.toml");
        std::fs::write(&again, config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::read(Some(&again), &[]).unwrap().to_toml().unwrap(), config.to_toml().unwrap());
    }
});
