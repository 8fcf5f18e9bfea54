//! `griptrace-verifier` for a page: bytes in, a report as JSON out.
//!
//! The functions are plain C: numbers in, numbers out, so that no generated glue stands between the page and the
//! verifier. Whoever calls puts bytes into a [`room`], says what they are, and reads the answer at [`output`]:
//!
//! ```text
//! verify:  room(n), write, part()   for each of: the request, trust file, policy, bundle, updates, older files
//!          verify()
//! hash:    hash_begin(); room(n) once, then for each chunk: write, hash_chunk(n); hash_end()
//! limits:  about()
//! ```
//!
//! There is no second judgement here, and no policy: what is said is what [`griptrace_verifier`] says. There is one state,
//! and one caller at a time. A trap (memory that can't be had, a fault of ours) leaves the instance unusable: the caller
//! makes another one.

mod asked;
mod hashing;
mod request;
mod shell;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashing::Hashing;

/// What is kept between two calls.
struct State {
    input: Vec<u8>,
    parts: Vec<Vec<u8>>,
    hashing: Option<Hashing>,
    output: Vec<u8>,
}

static STATE: Mutex<State> =
    Mutex::new(State { input: Vec::new(), parts: Vec::new(), hashing: None, output: Vec::new() });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes room for `length` bytes and returns the address of it, or 0 if there is not so much memory. It stands until
/// the next call of [`room`] or [`part`].
// SAFETY: the name is no other function's, here and below.
#[unsafe(no_mangle)]
pub extern "C" fn room(length: usize) -> usize {
    let mut state = state();
    state.input = Vec::new();
    if state.input.try_reserve_exact(length).is_err() {
        return 0;
    }
    state.input.resize(length, 0);
    state.input.as_mut_ptr().addr()
}

/// Takes what stands in the room as the next part of what is to be verified.
#[unsafe(no_mangle)]
pub extern "C" fn part() {
    let mut state = state();
    let part = core::mem::take(&mut state.input);
    state.parts.push(part);
}

/// Verifies what the parts are, and forgets them. The answer is JSON.
#[unsafe(no_mangle)]
pub extern "C" fn verify() {
    let mut state = state();
    let parts = core::mem::take(&mut state.parts);
    state.output = shell::answer(parts).into_bytes();
}

/// Begins to hash a file; what was begun before is forgotten.
#[unsafe(no_mangle)]
pub extern "C" fn hash_begin() {
    state().hashing = Some(Hashing::default());
}

/// Hashes the first `length` bytes of the room as the file's next ones.
#[unsafe(no_mangle)]
pub extern "C" fn hash_chunk(length: usize) {
    let mut state = state();
    let State { input, hashing, .. } = &mut *state;
    if let (Some(hashing), Some(chunk)) = (hashing, input.get(..length)) {
        hashing.update(chunk);
    }
}

/// Ends a file. The answer is JSON: `size`, `blake3` and `sha256`, as a request has them.
#[unsafe(no_mangle)]
pub extern "C" fn hash_end() {
    let mut state = state();
    let hashing = state.hashing.take().unwrap_or_default();
    state.output = hashing.finish().to_string().into_bytes();
}

/// Answers with what the caller has to know before it reads a file: limits in bytes, and the version.
#[unsafe(no_mangle)]
pub extern "C" fn about() {
    state().output = shell::about().to_string().into_bytes();
}

/// Returns the address of the last answer, which is UTF-8. It stands until the next call but [`output_length`].
#[unsafe(no_mangle)]
pub extern "C" fn output() -> usize {
    state().output.as_ptr().addr()
}

/// Returns the bytes of the last answer.
#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    state().output.len()
}
