//! A figure beside its bar.

use core::{fmt, time::Duration};
use std::time::Instant;

/// A measured value and the most that it may be.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// Least and greatest of the runs.
    pub(crate) spread: Option<(f64, f64)>,
    /// The bar, if the figure has one.
    pub(crate) at_most: Option<f64>,
}

impl Figure {
    /// Tells whether the bar holds.
    pub(crate) fn holds(&self) -> bool {
        self.at_most.is_none_or(|bar| self.value <= bar)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:58} {:10.2} {}", self.name, self.value, self.unit)?;
        if let Some((least, greatest)) = self.spread {
            write!(f, "  ({least:.2} to {greatest:.2})")?;
        }
        if let Some(bar) = self.at_most {
            write!(f, "  bar {bar}, {:.2} of it: {}", self.value / bar, if self.holds() { "holds" } else { "short" })?;
        }
        Ok(())
    }
}

/// Runs `work` some times and returns the median in milliseconds, and the spread.
pub(crate) fn median_ms(runs: usize, mut work: impl FnMut()) -> (f64, (f64, f64)) {
    let mut times: Vec<Duration> = (0..runs.max(1))
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    (ms(times.len() / 2), (ms(0), ms(times.len() - 1)))
}
