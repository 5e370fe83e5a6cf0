#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillwatch_fuzz::camera_jpeg::run(input));
