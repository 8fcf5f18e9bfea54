//! See targets/patch.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| griptrace_fuzz::run("patch", data));
