#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tillwatch_fuzz::media_recovery::run(input));
