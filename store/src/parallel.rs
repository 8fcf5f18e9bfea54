//! Work on many nodes, on all processors.

use rayon::{
    iter::{IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _},
    slice::ParallelSlice as _,
};

/// Fewer items are done by one thread.
const ITEMS_MIN: usize = 64;
/// Items that a thread takes at a time.
const ITEMS_EACH: usize = 16;

/// Does something with each item, in their order.
pub(crate) fn on_all_processors<'a, T: Sync, R: Send>(
    items: &'a [T],
    work: impl Fn(&'a T) -> R + Sync + Send,
) -> Vec<R> {
    if items.len() < ITEMS_MIN {
        return items.iter().map(work).collect();
    }
    items.par_iter().with_min_len(ITEMS_EACH).map(work).collect()
}

/// Makes bytes of each item, and puts them one after the other.
pub(crate) fn bytes_on_all_processors<T: Sync>(items: &[T], work: impl Fn(&T, &mut Vec<u8>) + Sync + Send) -> Vec<u8> {
    let some = |items: &[T]| {
        let mut bytes = Vec::new();
        items.iter().for_each(|item| work(item, &mut bytes));
        bytes
    };
    if items.len() < ITEMS_MIN {
        return some(items);
    }
    items.par_chunks(ITEMS_MIN).map(some).collect::<Vec<_>>().concat()
}
