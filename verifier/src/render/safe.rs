//! Text of others, made harmless for a terminal.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::date::{DAY_SECONDS, Date};

/// Tells whether a character is not itself to be seen: it steers the terminal, turns the direction
/// of writing, or takes no place.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `text` on one line: what is not itself to be seen is escaped, white space becomes single
/// spaces, and beyond `limit` characters it is cut, with `...` as its end.
pub fn plain(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut room = limit;
    let mut after_space = true;
    for c in text.chars() {
        let space = c.is_whitespace() && !c.is_control() && !is_unseen(c);
        if space && after_space {
            continue;
        }
        after_space = space;
        let piece = if space {
            " ".to_string()
        } else if is_unseen(c) {
            format!("\\u{{{:x}}}", u32::from(c))
        } else {
            c.to_string()
        };
        let length = piece.chars().count();
        if length > room {
            return cut(&out);
        }
        room = room.saturating_sub(length);
        out.push_str(&piece);
    }
    out.trim_end().into()
}

/// Ends a text that was cut.
fn cut(text: &str) -> String {
    let keep = text.chars().count().saturating_sub(3);
    let kept: String = text.chars().take(keep).collect();
    format!("{}...", kept.trim_end())
}

/// Returns text of the bundle in quotation marks, with a backslash before each of its own and before backslashes: as it
/// can be given back between quotation marks.
pub(super) fn quoted(text: &str, limit: usize) -> String {
    format!("\"{}\"", plain(&text.replace('\\', "\\\\").replace('"', "\\\""), limit))
}

/// Returns how many columns a terminal gives to a text: two for East Asian wide characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).fold(0, usize::saturating_add)
}

fn char_width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Breaks a text into lines of at most `columns`, between words where that is possible.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let needed = width(&line).saturating_add(1).saturating_add(width(word));
        if !line.is_empty() && needed > columns {
            lines.push(core::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line).saturating_add(char_width(c)) > columns {
                lines.push(core::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Returns a Unix time as UTC: `2026-05-20T12:00:00Z`.
pub(super) fn iso(seconds: u64) -> String {
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", Date::from_unix(seconds))
}

/// Returns the first digits of an id, enough to tell the nodes of one report apart by eye.
pub(super) fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(12).collect()
}
