//! What a test does that can't be run here.
//!
//! A skip is printed, so that it is seen. A missing program or library is a reason to skip on
//! somebody's own machine and a failure where `CI=true`: there it has to be installed.

/// Leaves the test, printing `skipped: WHY`.
///
/// `skipped!("why")` is for what may rightly be absent, as the recorded data beside the checkout.
/// `skipped!(not_installed "node")` is for what could be installed: it fails where `CI=true`.
#[macro_export]
macro_rules! skipped {
    (not_installed $what:expr) => {{
        $crate::skip::not_installed($what);
        return;
    }};
    ($why:expr) => {{
        $crate::skip::skipped($why);
        return;
    }};
}

/// Prints the reason. Use [`skipped!`](crate::skipped), which also leaves the test.
#[expect(clippy::print_stdout, reason = "a skip that is not printed looks like a pass")]
pub fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Prints what is missing. Use [`skipped!`](crate::skipped), which also leaves the test.
///
/// # Panics
///
/// Where `CI=true`.
pub fn not_installed(what: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{what} is not installed, and here it has to be");
    skipped(&format!("{what} is not installed"));
}
