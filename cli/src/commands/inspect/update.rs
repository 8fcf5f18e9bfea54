//! `griptrace inspect FILE.update`: what an update holds.

use griptrace_core::{
    assessment::AssessorMark,
    cbor::decode,
    cose::{MARK_TYPE, Signed},
    update::{Part, Patch, Update},
};
use griptrace_verifier::render::plain;
use serde_json::{Value as Json, json};

use super::Args;
use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile::fingerprint,
};

/// Characters of an issuer's name that are shown.
const NAME_MAX: usize = 200;
/// Said before anything else.
const UNVERIFIED: &str =
    "UNVERIFIED: this is what the update says; `griptrace verify BUNDLE --update FILE` applies and checks it";

/// What an update's file begins with, of whichever version.
pub(super) const STEM: &[u8] = b"griptrace update ";

/// Shows an update: what it is for, how much it copies and brings, and whose withdrawals.
pub(super) fn show(context: &Context, args: &Args, file: &[u8]) -> Result<Answer, CommandError> {
    let name = args.bundle.display();
    if args.keys || args.as_buyer {
        return Err(CommandError::failed(format!("{name} is an update; --keys and --as-buyer are for a bundle"))
            .with_hint("griptrace verify BUNDLE --update FILE --write-updated NEWER makes the newer bundle"));
    }
    let (update, digest) = Update::view(file).map_err(|e| CommandError::because(format!("cannot read {name}"), e))?;
    let bytes = file.len();
    let output = &context.output;
    if !output.is_json() {
        output.line(UNVERIFIED)?;
    }
    let mut lines = vec![format!("update      {bytes} bytes, digest {digest}")];
    lines.extend(update.patch.as_ref().map_or_else(
        || vec!["patch       none: it brings withdrawals alone, and fits every bundle".to_owned()],
        patch_lines,
    ));
    lines.push(format!("withdrawals {}", update.withdrawals.len()));
    let object = json!({
        "verified": false, "digest": digest.to_string(), "bytes": bytes,
        "patch": update.patch.as_ref().map(patch_json), "withdrawals": update.withdrawals.len(),
    });
    output.either(&object, &lines)?;
    for statement in &update.withdrawals {
        let (object, lines) = withdrawal(statement);
        output.either(&object, &lines)?;
    }
    Ok(Answer::YES)
}

/// What a patch consists of.
#[derive(Default)]
struct Sums {
    copies: u64,
    copied: u64,
    literals: u64,
    brought: u64,
}

impl Sums {
    fn of(patch: &Patch<'_>) -> Self {
        let mut sums = Self::default();
        let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        for part in &patch.parts {
            match part {
                Part::Copy { len, .. } => {
                    sums.copies = sums.copies.saturating_add(1);
                    sums.copied = sums.copied.saturating_add(wide(*len));
                }
                Part::Literal(bytes) => {
                    sums.literals = sums.literals.saturating_add(1);
                    sums.brought = sums.brought.saturating_add(wide(bytes.len()));
                }
            }
        }
        sums
    }

    const fn result(&self) -> u64 {
        self.copied.saturating_add(self.brought)
    }
}

fn patch_lines(patch: &Patch<'_>) -> Vec<String> {
    let sums = Sums::of(patch);
    vec![
        format!("for         the bundle {}", patch.base),
        format!("makes       the bundle {} of {} bytes", patch.result, sums.result()),
        format!("copies      {} bytes in {} pieces of the older bundle", sums.copied, sums.copies),
        format!("brings      {} bytes in {} pieces of its own", sums.brought, sums.literals),
    ]
}

fn patch_json(patch: &Patch<'_>) -> Json {
    let sums = Sums::of(patch);
    json!({
        "base": patch.base.to_string(), "result": patch.result.to_string(), "result_bytes": sums.result(),
        "copies": sums.copies, "copied_bytes": sums.copied, "literals": sums.literals, "literal_bytes": sums.brought,
    })
}

/// Returns what a withdrawal says of itself; one that can't be read is said to be none.
fn withdrawal(statement: &[u8]) -> (Json, Vec<String>) {
    let read = Signed::parse(statement, MARK_TYPE).map_err(|e| e.to_string());
    let read = read.and_then(|signed| {
        let mark = decode::<AssessorMark>(&signed.payload).map_err(|e| e.to_string())?;
        Ok((signed, mark))
    });
    match read {
        Ok((signed, mark)) => {
            let object = json!({
                "withdrawal": mark.mark.word(), "of": mark.key.to_string(), "date": mark.date.to_string(),
                "issuer": signed.issuer, "key_id": signed.key.to_string(), "home": signed.home.to_string(),
            });
            let lines = vec![
                format!("\n{} on {} by {}", mark.mark, mark.date, plain(&signed.issuer, NAME_MAX)),
                format!("  of the assessment with the status key {}", mark.key),
                format!("  made for the log {}", signed.home),
                format!("  signed by key {}", fingerprint(&signed.key)),
            ];
            (object, lines)
        }
        Err(why) => (
            json!({ "withdrawal": null, "why": why }),
            vec![format!("\na withdrawal that can't be read, and does not count: {why}")],
        ),
    }
}
