//! See targets/store.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| griptrace_fuzz::run("store", data));
