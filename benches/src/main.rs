//! Prints Griptrace's figures: each beside its bar, measured in this run.
//!
//! `cargo run --release -p griptrace-benches -- figures [TOPIC] [--smoke]`. `--smoke` takes small
//! sizes, to show that the figures can be made; what it prints is no measurement.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod figure;
mod proof;
mod verify;
mod world;

use std::process::ExitCode;

use figure::Figure;

/// A topic: its name, and what measures it.
type Topic = (&'static str, fn(bool) -> Result<Vec<Figure>, world::Failure>);

const TOPICS: &[Topic] = &[("proof-size", proof::figures), ("verify", verify::figures)];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--smoke").collect();
    let smoke = args.iter().any(|arg| arg == "--smoke");
    let wanted = match words.as_slice() {
        ["figures"] => None,
        ["figures", topic] if TOPICS.iter().any(|(name, _)| name == topic) => Some(*topic),
        _ => {
            let names: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
            println!("usage: griptrace-benches figures [{}] [--smoke]", names.join(" | "));
            return ExitCode::from(2);
        }
    };
    let mut short = false;
    for (name, measure) in TOPICS.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)) {
        println!("\n{name}");
        match measure(smoke) {
            Ok(figures) => figures.iter().for_each(|figure| {
                short |= !figure.holds();
                println!("  {figure}");
            }),
            Err(error) => {
                println!("  skipped: {error}");
                short = true;
            }
        }
    }
    ExitCode::from(u8::from(short && !smoke))
}
