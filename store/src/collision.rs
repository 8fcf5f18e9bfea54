//! Paths that can't lie side by side on every system (R12 says why).

use std::{borrow::Cow, collections::HashMap};

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// Finds two paths that are equal, or become equal under NFC and case folding.
///
/// Case is folded by `to_lowercase`, which is not the full case folding of Unicode (`ß` and `ss`
/// stay apart): what real file systems do differs among them too. Paths that are not UTF-8 are
/// compared as bytes.
pub(crate) fn find_collision<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Option<(&'a [u8], &'a [u8])> {
    let mut seen: HashMap<Cow<'a, [u8]>, &'a [u8]> = HashMap::new();
    paths.into_iter().find_map(|path| seen.insert(folded(path), path).map(|earlier| (earlier, path)))
}

fn folded(path: &[u8]) -> Cow<'_, [u8]> {
    if path.is_ascii() {
        let lower = !path.iter().any(u8::is_ascii_uppercase);
        return if lower { Cow::Borrowed(path) } else { Cow::Owned(path.to_ascii_lowercase()) };
    }
    let Ok(text) = core::str::from_utf8(path) else { return Cow::Borrowed(path) };
    let composed: String = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    };
    // Once more after folding: a lower-case letter may compose where the capital did not.
    Cow::Owned(composed.to_lowercase().nfc().collect::<String>().into_bytes())
}

/// Shows a path to people.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collide(paths: &[&str]) -> bool {
        find_collision(paths.iter().map(|path| path.as_bytes())).is_some()
    }

    #[test]
    fn case_and_unicode_forms_collide() {
        assert!(collide(&["a/Readme", "a/README"]));
        assert!(collide(&["caf\u{e9}", "cafe\u{301}"]), "composed and decomposed");
        assert!(collide(&["CAF\u{c9}", "cafe\u{301}"]));
        assert!(collide(&["x", "x"]));
        assert!(!collide(&["a/b", "a/c", "b/a"]));
        assert!(find_collision([b"\xff".as_slice(), b"\xfe"].into_iter()).is_none());
    }
}
