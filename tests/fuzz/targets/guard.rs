//! Counts what a body allocates, so that a length that is only claimed shows.
//!
//! A counting allocator and not libFuzzer's `-malloc_limit_mb`: that needs a sanitizer, and the
//! replay of the seeds is a plain test. The fuzzers have `-rss_limit_mb` beside it.
#![expect(unsafe_code, reason = "an allocator cannot be written without; it hands on to the system's")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};
use std::alloc::System;

/// What reading may take whatever the length.
const FIXED_BYTES: usize = 1 << 20;
/// What reading may take for each byte of input: the smallest items are one byte, and a list of
/// them doubles while it grows.
const BYTES_PER_BYTE: usize = 160;

thread_local! {
    /// Bytes that this thread has allocated and not freed. Negative where it frees others'.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// How many guards there are on all threads: without one, allocating costs what it always did.
static GUARDS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(by: isize) {
    if GUARDS.load(Ordering::Relaxed) == 0 {
        return;
    }
    // While a thread ends its counters may be gone: nothing is measured there.
    let _gone = LIVE.try_with(|live| {
        live.set(live.get().saturating_add(by));
        PEAK.try_with(|peak| peak.set(peak.get().max(live.get())))
    });
}

fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(signed(layout.size()).saturating_neg());
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both are held while the bytes are moved.
        count(signed(new_size));
        // SAFETY: as above.
        let moved = unsafe { System.realloc(at, layout, new_size) };
        count(signed(layout.size()).saturating_neg());
        moved
    }
}

/// Returns the most bytes that `work` held at once beyond what was held before.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    GUARDS.fetch_add(1, Ordering::Relaxed);
    let (start, outer) = (LIVE.get(), PEAK.get());
    PEAK.set(start);
    let made = work();
    GUARDS.fetch_sub(1, Ordering::Relaxed);
    let peak = PEAK.get().saturating_sub(start);
    PEAK.set(outer.max(PEAK.get()));
    (made, usize::try_from(peak).unwrap_or(0))
}

/// Reads something out of `len` bytes, and panics if that took memory beyond what they can fill.
pub(crate) fn bounded<T>(len: usize, work: impl FnOnce() -> T) -> T {
    let (made, peak) = peak_of(work);
    let limit = len.saturating_mul(BYTES_PER_BYTE).saturating_add(FIXED_BYTES);
    assert!(peak <= limit, "{peak} bytes were held for {len} bytes of input");
    made
}
