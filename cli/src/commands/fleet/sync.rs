//! `griptrace fleet sync` and `griptrace fleet status`.

use core::time::Duration;

use griptrace_witness::{fetch::Fetcher, mirror::MirrorError};
use serde_json::{Value as Json, json};

use crate::{
    clock,
    commands::serve::asked_to_end,
    context::{Answer, Context},
    error::CommandError,
    fleet::{
        Fleet, Plant,
        contact::{Contact, Outcome, one_line, runtime, sync_all},
    },
};

/// Mirror what the plants' logs publish, checked
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on, as often as this: 30s, 5m [default: once]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    every: Option<Duration>,
    /// Do it once, which is the default
    #[arg(long, conflicts_with = "every")]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is written 30s, 5m or 1h, and is a second at least".to_owned();
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let found =
        units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?.parse::<u64>().ok()?, *seconds)));
    let (count, seconds) = found.filter(|(count, _)| *count > 0).ok_or_else(wrong)?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) fn run(context: &Context, fleet: &Fleet, args: &Args) -> Result<Answer, CommandError> {
    let fetcher = Fetcher::new().map_err(|e| CommandError::because("cannot use TLS", e))?;
    runtime()?.block_on(async {
        let Some(every) = args.every else {
            return tell(context, &sync_all(fleet, &fetcher).await);
        };
        let mut end = Box::pin(asked_to_end()?);
        loop {
            // What was copied until somebody asks to end stays; the next time goes on from there.
            let answer = tokio::select! {
                () = &mut end => return Ok(Answer::YES),
                outcomes = sync_all(fleet, &fetcher) => tell(context, &outcomes),
            };
            answer?;
            tokio::select! {
                () = &mut end => return Ok(Answer::YES),
                () = tokio::time::sleep(every) => {}
            }
        }
    })
}

/// Says what came of each plant. A log that broke its promise weighs more than one that did not answer.
fn tell(context: &Context, outcomes: &[Outcome]) -> Result<Answer, CommandError> {
    let mut answer = Answer::YES;
    for Outcome { plant, result } in outcomes {
        match result {
            Ok(synced) => {
                let (size, before) = (synced.checkpoint.size, synced.before);
                let object = json!({
                    "plant": plant, "origin": synced.checkpoint.origin, "size": size, "before": before,
                    "root": synced.checkpoint.root.to_string(), "error": null,
                });
                let new = size.saturating_sub(before);
                context.output.either(&object, &[format!("{plant}: {size} entries, {new} of them new")])?;
            }
            Err(trouble) => {
                let is_lie = trouble.is_lie;
                let object = json!({ "plant": plant, "error": trouble.text, "is_lie": is_lie });
                context.output.either(&object, &[format!("{plant}: {}", trouble.text)])?;
                if is_lie {
                    answer = Answer::NO;
                } else if answer != Answer::NO {
                    answer = Answer::COULD_NOT;
                }
            }
        }
    }
    Ok(answer)
}

/// What is known of a plant's log.
struct Standing {
    seen: Option<u64>,
    mirrored: Option<u64>,
    evidence: Vec<String>,
    contact: Contact,
}

impl Standing {
    fn of(plant: &Plant) -> Result<Self, MirrorError> {
        let mirror = plant.mirror();
        Ok(Self {
            seen: mirror.seen()?.map(|seen| seen.checkpoint.size),
            mirrored: mirror.mirrored()?.map(|mirrored| mirrored.checkpoint.size),
            evidence: mirror.evidence()?,
            contact: Contact::read(plant),
        })
    }

    /// Returns what is to be said of the log in a word.
    fn word(&self) -> &'static str {
        match (&self.evidence[..], &self.contact.error, self.seen) {
            ([_, ..], ..) => "REFUSED",
            ([], Some(_), _) => "not reached",
            ([], None, Some(_)) => "consistent",
            ([], None, None) => "never seen",
        }
    }

    fn object(&self, plant: &Plant, now: u64) -> Json {
        let reached = self.contact.reached;
        json!({
            "plant": plant.name, "origin": plant.origin(), "standing": self.word(), "size": self.mirrored, "seen": self.seen,
            "tried": self.contact.tried, "reached": reached, "age": reached.map(|then| now.saturating_sub(then)),
            "error": self.contact.error, "evidence": self.evidence,
        })
    }
}

pub(super) fn status(context: &Context, fleet: &Fleet) -> Result<Answer, CommandError> {
    let now = clock::now();
    let (mut is_lie, mut is_lacking) = (false, false);
    for plant in &fleet.plants {
        let standing = match Standing::of(plant) {
            Ok(standing) => standing,
            Err(error) => {
                let text = one_line(&error);
                let object =
                    json!({ "plant": plant.name, "origin": plant.origin(), "standing": "damaged", "error": text });
                context.output.either(&object, &[format!("{}: its mirror can't be read: {text}", plant.name)])?;
                is_lacking = true;
                continue;
            }
        };
        is_lie |= !standing.evidence.is_empty();
        is_lacking |= standing.seen.is_none() || standing.contact.error.is_some();
        context.output.either(&standing.object(plant, now), &lines(plant, &standing, now))?;
    }
    Ok(if is_lie {
        Answer::NO
    } else if is_lacking {
        Answer::COULD_NOT
    } else {
        Answer::YES
    })
}

fn lines(plant: &Plant, standing: &Standing, now: u64) -> Vec<String> {
    let size = standing.mirrored.map_or_else(|| "no entries".to_owned(), |size| format!("{size} entries"));
    let age = standing
        .contact
        .reached
        .map_or_else(|| "never mirrored".to_owned(), |then| format!("mirrored {} ago", age(now.saturating_sub(then))));
    let mut lines = vec![format!("{:<16} {:<12} {size}, {age}  ({})", plant.name, standing.word(), plant.origin())];
    if standing.seen > standing.mirrored {
        let seen = standing.seen.unwrap_or_default();
        lines.push(format!("  {seen} entries were seen; the next sync goes on copying them"));
    }
    lines.extend(standing.contact.error.iter().map(|error| format!("  {error}")));
    lines.extend(
        standing.evidence.iter().map(|file| format!("  held against it: {}", plant.folder.join(file).display())),
    );
    lines
}

/// Returns a span of time as people say it.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}
