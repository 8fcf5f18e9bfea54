//! The arguments of `figures`.

use std::path::PathBuf;

use crate::topics::TOPICS;

/// What to measure, and how.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Some topics only; all if none is named.
    pub(crate) topics: Vec<String>,
    /// Small sizes.
    pub(crate) smoke: bool,
    /// Where curves are drawn.
    pub(crate) svg: Option<PathBuf>,
    /// Where stores are made.
    pub(crate) temp: Option<PathBuf>,
}

impl Arguments {
    /// Reads the arguments; the error is what to tell who called.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        let mut words = words.iter();
        if words.next().map(String::as_str) != Some("figures") {
            return Err(usage());
        }
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut folder = || words.next().map(PathBuf::from).ok_or_else(usage);
            match word.as_str() {
                "--smoke" => arguments.smoke = true,
                "--svg" => arguments.svg = Some(folder()?),
                "--temp" => arguments.temp = Some(folder()?),
                topic if TOPICS.iter().any(|(name, _)| *name == topic) => arguments.topics.push(topic.to_owned()),
                _ => return Err(usage()),
            }
        }
        Ok(arguments)
    }
}

fn usage() -> String {
    let names: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    format!(
        "usage: griptrace-benches figures [TOPIC...] [--smoke] [--svg DIR] [--temp DIR]\ntopics: {}",
        names.join(", ")
    )
}
