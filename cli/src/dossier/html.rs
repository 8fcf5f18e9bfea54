//! HTML in which a stranger's text stays where it is put.
//!
//! Markup comes in as literals of this program only; everything else is escaped on its way in. Text out of a bundle
//! was chosen by somebody else, perhaps by an enemy: [`Html::foreign`] takes away what steers or hides, isolates its
//! direction of writing, and cuts it.

use core::fmt::{Display, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_verifier::render::plain;
use sha2::{Digest as _, Sha256};
use unicode_normalization::char::is_combining_mark;

/// Characters of one foreign text. What is cut ends with `...`, and `griptrace inspect` shows it whole.
pub(crate) const FOREIGN_MAX: usize = 1_500;
/// Marks that may stand on one letter: more would pile up into the lines above and below.
const MARKS_MAX: usize = 2;

/// A page, or a piece of one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Adds markup.
    pub(crate) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds a picture that this program drew, text escaped.
    pub(crate) fn svg(&mut self, svg: &str) -> &mut Self {
        self.0.push_str(svg);
        self
    }

    /// Adds another piece.
    pub(crate) fn piece(&mut self, piece: &Self) -> &mut Self {
        self.0.push_str(&piece.0);
        self
    }

    /// Adds a text of our own.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escaped(text));
        self
    }

    /// Adds a number, an id, a date or a word of a closed list.
    pub(crate) fn show(&mut self, value: impl Display) -> &mut Self {
        self.text(&value.to_string())
    }

    /// Adds a text that somebody else chose, isolated from what stands around it.
    pub(crate) fn foreign(&mut self, text: &str) -> &mut Self {
        self.0.push_str("<bdi>");
        self.0.push_str(&escaped(&harmless(text, FOREIGN_MAX)));
        self.0.push_str("</bdi>");
        self
    }

    /// Adds an element around a text of our own.
    pub(crate) fn element(&mut self, tag: &'static str, text: &str) -> &mut Self {
        write!(self.0, "<{tag}>{}</{tag}>", escaped(text)).ok();
        self
    }

    /// Adds a row of a table: a heading, and what `value` writes beside it.
    pub(crate) fn row(&mut self, heading: &str, value: impl FnOnce(&mut Self)) -> &mut Self {
        self.raw("<tr><th scope=\"row\">").text(heading).raw("</th><td>");
        value(self);
        self.raw("</td></tr>\n")
    }

    /// Returns the markup.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts the frame of a document around a body. Nothing but the one style sheet may do anything in it, and that is named by its
/// hash (Content Security Policy Level 3).
pub(crate) fn document(magic: &str, language: &str, title: &str, style: &str, body: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
    format!(
        "{magic}<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title),
    )
}

/// Escapes what HTML would read as markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Returns a stranger's text on one line, of at most `limit` characters: what steers or is not seen is escaped, and so are
/// marks that would pile up on a letter. Line breaks are spaces.
pub(crate) fn harmless(text: &str, limit: usize) -> String {
    let on_one_line: String = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    let mut out = String::new();
    let mut marks = 0_usize;
    for c in plain(&on_one_line, limit).chars() {
        marks = if is_combining_mark(c) { marks.saturating_add(1) } else { 0 };
        if marks > MARKS_MAX {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    plain(&out, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        let mut html = Html::default();
        html.foreign("</td><script>alert('1')</script>&\u{202e}txt\u{0}\n\"x\"");
        assert_eq!(
            html.as_str(),
            "<bdi>&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\\u{202e}txt\\u{0} &quot;x&quot;</bdi>"
        );
    }

    #[test]
    fn marks_do_not_pile_up_and_length_is_bounded() {
        let tower = format!("a{}", "\u{301}".repeat(50));
        assert!(harmless(&tower, 2_000).starts_with("a\u{301}\u{301}\\u{301}"));
        assert!(harmless(&"\u{301}".repeat(5_000), 100).chars().count() <= 100);
        assert_eq!(harmless("Größe 夹爪 קובץ", 100), "Größe 夹爪 קובץ");
    }
}
