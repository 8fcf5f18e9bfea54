//! The square that a phone reads: text that names a bundle, nothing more. No address, so that no reader opens anything.

use core::fmt::Write as _;

use griptrace_core::{digest::Digest, id::NodeId};
use qrcode::{Color, EcLevel, QrCode};

/// Free modules around the code (ISO/IEC 18004).
const QUIET: usize = 4;

/// Returns the text of the square: a line each for what it is, the bundle's digest and the root's id.
pub(crate) fn payload(bundle: &Digest, root: &NodeId) -> String {
    format!("Griptrace evidence file\nbundle {}\nroot {}\n", grouped(bundle), grouped(root))
}

/// Writes hexadecimal digits in groups of eight, to be compared by eye.
pub(crate) fn grouped(digits: &impl ToString) -> String {
    let digits: Vec<char> = digits.to_string().chars().collect();
    digits.chunks(8).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// Modules below the square in which a caption stands.
const CAPTION: usize = 6;

/// Draws a text as a square, `size` CSS pixels wide, with a caption of ours below it.
pub(crate) fn svg(text: &str, size: u32, caption: Option<&str>) -> String {
    let code =
        QrCode::with_error_correction_level(text, EcLevel::M).expect("the text is far shorter than a code can hold");
    let width = code.width();
    let mut path = String::new();
    for (place, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (place % width, place / width);
            write!(path, "M{} {}h1v1h-1z", x.saturating_add(QUIET), y.saturating_add(QUIET)).ok();
        }
    }
    let all = width.saturating_add(QUIET.saturating_mul(2));
    let (below, said) = caption.map_or((0, String::new()), |caption| {
        let (at, wide) = (all.saturating_add(CAPTION / 2), width);
        let said = format!(
            "<text x=\"{QUIET}\" y=\"{at}\" font-size=\"3\" font-family=\"sans-serif\" textLength=\"{wide}\" \
             lengthAdjust=\"spacingAndGlyphs\">{caption}</text>"
        );
        (CAPTION, said)
    });
    let (high, modules) = (all.saturating_add(below), u32::try_from(all).unwrap_or(u32::MAX));
    let height = u32::try_from(high).unwrap_or(u32::MAX).saturating_mul(size).checked_div(modules).unwrap_or(size);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qr\" role=\"img\" aria-label=\"QR\" width=\"{size}\" height=\"{height}\" \
         viewBox=\"0 0 {all} {high}\" shape-rendering=\"crispEdges\"><rect width=\"{all}\" height=\"{high}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/>{said}</svg>\n"
    )
}
