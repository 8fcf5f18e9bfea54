//! `verify` on structured input: an honest bundle with changes that somebody without keys makes, its
//! digest made anew. Nothing but the honest bundle may meet the policy, whatever is asked of it.

use griptrace_core::{bundle::Bundle, note::Note};

use super::{bundle::framed, edit, fixtures, input::Input, report::judge};

/// Changes of one case.
const EDITS_MAX: usize = 12;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let all = fixtures::all();
    let fixture = &all[input.place(all.len())];
    let asked = fixtures::asked(fixture, &mut input);
    let mut bundle = fixture.bundle.clone();
    for _ in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        edit::bundle(&mut bundle, &mut input);
    }
    let report = judge(&bundle.to_bytes(), &asked).expect("it begins like a bundle");
    if report.policy_met {
        assert_eq!(essence(&bundle), essence(&fixture.bundle));
    }
}

/// Raw bytes between first line and digest.
pub(crate) fn raw(data: &[u8]) {
    let mut input = Input::new(data);
    let all = fixtures::all();
    let fixture = &all[input.place(all.len())];
    let asked = fixtures::asked(fixture, &mut input);
    let body = input.rest();
    // As it comes, bytes are hardly ever a bundle; the few that are must not be met either.
    if let Ok(report) = judge(body, &asked) {
        assert!(!report.policy_met || all.iter().any(|fixture| body == fixture.file));
    }
    let file = framed(body);
    let report = judge(&file, &asked).expect("it begins like a bundle");
    match Bundle::from_bytes(&file) {
        Ok(bundle) => {
            let is_honest = || all.iter().any(|fixture| essence(&fixture.bundle) == essence(&bundle));
            assert!(!report.policy_met || is_honest());
        }
        Err(error) => assert!(!report.policy_met && report.nodes == 0, "{error}"),
    }
}

/// What the exporter can't choose: which details are opened it can, and whom else it asks to
/// cosign.
fn essence(bundle: &Bundle) -> Bundle {
    let mut bundle = bundle.clone();
    bundle.disclosures.clear();
    for anchor in bundle.logs.iter_mut().flat_map(|log| &mut log.anchors) {
        if let Ok(note) = Note::parse(anchor.note.as_bytes()) {
            note.text().clone_into(&mut anchor.note);
        }
    }
    bundle
}
