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

/// Draws a text as a square, `size` CSS pixels wide.
pub(crate) fn svg(text: &str, size: u32) -> String {
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
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"qr\" role=\"img\" aria-label=\"QR\" width=\"{size}\" height=\"{size}\" \
         viewBox=\"0 0 {all} {all}\" shape-rendering=\"crispEdges\"><rect width=\"{all}\" height=\"{all}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>\n"
    )
}
