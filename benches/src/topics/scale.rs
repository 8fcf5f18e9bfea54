//! What a log costs as it grows, and what it costs in a bucket.

mod cost;
mod curve;
mod replica;

pub(super) use curve::{grown, opened};

use crate::{Failure, report::Report, setup::Setup};

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    curve::measure(setup, report)?;
    cost::measure(setup, report)?;
    replica::measure(setup, report)
}
