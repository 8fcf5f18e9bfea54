//! What holds of every report, whatever it is about.

use griptrace_core::{bundle::BundleError, limits::FINDINGS_MAX};
use griptrace_verifier::{
    finding::{Severity, Verdict, When},
    policy::{Judge, Policy},
    render::{json, json_text, line, words},
    report::Report,
    trust::Trust,
    verify::verify,
};

use super::{fixtures::Asked, guard::peak_of};

/// What judging may take whatever the file's length, and for each of its bytes.
const FIXED_BYTES: usize = 16 << 20;
const BYTES_PER_BYTE: usize = 1 << 10;

/// Verifies within bounded memory, and checks what holds of every report.
pub(crate) fn judge(file: &[u8], asked: &Asked) -> Result<Report, BundleError> {
    judge_by(file, &asked.trust, &asked.policy, asked)
}

/// The same under another trust file or policy.
pub(crate) fn judge_by(file: &[u8], trust: &Trust, policy: &Policy, asked: &Asked) -> Result<Report, BundleError> {
    let (report, peak) = peak_of(|| verify(file, trust, policy, &asked.question));
    let limit = file.len().saturating_mul(BYTES_PER_BYTE).saturating_add(FIXED_BYTES);
    assert!(peak <= limit, "{peak} bytes were held for a file of {}", file.len());
    if let Ok(report) = &report {
        holds(report, policy);
    }
    report
}

fn holds(report: &Report, policy: &Policy) {
    let counted = |when: When| match when {
        When::Always => true,
        When::AtShipment => policy.judge != Judge::Now,
        When::Now => policy.judge != Judge::Shipment,
    };
    let errors = report.findings.iter().filter(|found| found.severity == Severity::Error && counted(found.when));
    assert_eq!(report.policy_met, errors.count() == 0);
    assert!(report.findings.len() <= 3 * FINDINGS_MAX * 100);
    if report.verdict == Verdict::Broken {
        assert!(!report.policy_met && !report.findings.is_empty());
    }
    for found in report.findings.iter().filter(|found| counted(found.when)) {
        assert!(report.verdict >= found.code.verdict(), "{} is better than {}", report.verdict, found.code);
    }
    shows(report);
}

/// The report can be told, and no text of a bundle looks like more of it than it is.
fn shows(report: &Report) {
    let seen = |text: &str| !text.chars().any(|letter| letter.is_control() && letter != '\n');
    for explain in [false, true] {
        assert!(seen(&words(report, explain)));
    }
    let text = json_text(&json(report));
    assert!(seen(&text) && !text.contains('\n') && text.ends_with('}'));
    assert!(!line(report, "bundle").trim_end().contains('\n'));
}
