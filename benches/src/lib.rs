//! Griptrace's figures: each beside its rival or its limit, measured in the same run.
//!
//! Two programs stand on this: `griptrace-benches` for the large figures ([`figures`]) and
//! `cargo bench` for what these are made of ([`fine`]). Nothing here judges evidence, and nothing
//! but what a run has measured is printed. It is not a library for others.

mod arguments;
mod audited;
mod bucket;
mod bulk;
mod child;
mod figure;
mod fine;
mod machine;
mod measure;
mod raw;
mod report;
mod rivals;
mod serving;
mod setup;
mod svg;
mod topics;
mod world;

pub use fine::fine;

use std::process::ExitCode;

use arguments::Arguments;
use figure::Figure;
use report::{Report, line};
use setup::Setup;

/// Why a figure could not be made.
pub(crate) type Failure = Box<dyn core::error::Error + Send + Sync>;

/// Measures what the arguments ask for and prints it. Leaves with 1 if a floor is not met or a
/// figure was skipped, unless the sizes are small ones; with 2 if the arguments are wrong.
pub fn figures() -> ExitCode {
    report::begin();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("child", job)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return child::answer(job);
    }
    let measured = Arguments::parse(&words).map_err(|usage| (2, usage)).and_then(|arguments| {
        let is_smoke = arguments.smoke;
        let holds = measure(arguments).map_err(|error| (1, error.to_string()))?;
        Ok(holds || is_smoke)
    });
    match measured {
        Ok(holds) => ExitCode::from(u8::from(!holds)),
        Err((code, why)) => {
            report::wrong(&why);
            ExitCode::from(code)
        }
    }
}

fn measure(arguments: Arguments) -> Result<bool, Failure> {
    let setup = Setup::new(arguments.smoke, arguments.temp.as_deref())?;
    let mut report = Report::new(arguments.smoke, arguments.svg);
    line(&machine::facts(setup.temp()));
    if setup.smoke {
        line("small sizes: what follows shows that the figures can be made, and is no measurement");
    }
    for (name, measure) in topics::TOPICS {
        if !arguments.topics.is_empty() && !arguments.topics.iter().any(|wanted| wanted == name) {
            continue;
        }
        report.topic(name);
        if let Err(error) = measure(&setup, &mut report) {
            report.add(Figure::skipped("the rest of this topic", &error));
        }
    }
    Ok(report.finish())
}
