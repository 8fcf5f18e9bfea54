//! Running things by turns and taking their times.

use std::time::Instant;

use crate::{Failure, figure::Runs};

/// Something that does its work once and tells how many seconds that took.
pub(crate) type Turn<'a> = &'a mut dyn FnMut() -> Result<f64, Failure>;

/// Does the work and returns the seconds that it took, and what it gave.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(f64, T), Failure> {
    let begun = Instant::now();
    let gave = work()?;
    Ok((begun.elapsed().as_secs_f64(), gave))
}

/// Runs one thing some times; the values are what it returns.
pub(crate) fn repeat(runs: usize, mut turn: impl FnMut() -> Result<f64, Failure>) -> Result<Runs, Failure> {
    (0..runs).map(|_| turn()).collect::<Result<_, _>>().map(Runs::new)
}

/// Runs one thing some times, but begins no further run once they have taken so many seconds.
pub(crate) fn repeat_within(
    seconds_max: f64,
    runs: usize,
    mut turn: impl FnMut() -> Result<f64, Failure>,
) -> Result<Runs, Failure> {
    let begun = Instant::now();
    let mut values = Vec::new();
    while values.is_empty() || (values.len() < runs && begun.elapsed().as_secs_f64() < seconds_max) {
        values.push(turn()?);
    }
    Ok(Runs::new(values))
}

/// Runs several things by turns, in the other order every second time, so that what else happens
/// on the machine meets all of them alike.
pub(crate) fn by_turns<const N: usize>(runs: usize, mut turns: [Turn<'_>; N]) -> Result<[Runs; N], Failure> {
    let mut values: [Vec<f64>; N] = core::array::from_fn(|_| Vec::new());
    for run in 0..runs {
        let mut one = |at: usize| -> Result<(), Failure> {
            let value = turns.get_mut(at).ok_or("no such turn")?()?;
            values.get_mut(at).ok_or("no such turn")?.push(value);
            Ok(())
        };
        if run % 2 == 0 {
            (0..N).try_for_each(&mut one)?;
        } else {
            (0..N).rev().try_for_each(&mut one)?;
        }
    }
    Ok(values.map(Runs::new))
}

/// Turns a count into a figure.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

/// Turns a count of bytes into a figure.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn bytes(count: u64) -> f64 {
    count as f64
}
