//! See targets/verify_raw.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| griptrace_fuzz::run("verify_raw", data));
