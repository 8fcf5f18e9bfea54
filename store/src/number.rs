//! Lengths and counts, widened and narrowed in one place.

/// Widens a length; no platform has lengths beyond 64 bits.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Narrows to a place in memory; what is beyond it is in no list.
pub(crate) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Widens a node's number to a place in memory.
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
