#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (hedgerow_fuzz::named("proof").run)(data));
