//! QR codes (ISO/IEC 18004) as SVG: of invitations, which people scan (ORG-10, ORG-14).

use qrcode::{Color, EcLevel, QrCode};

/// Modules of blank around the code, as readers need it.
const QUIET: usize = 4;

/// The text as a QR code; none for a text that is too long for one.
pub(crate) fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (row, colors) in code.to_colors().chunks(width).enumerate() {
        // Dark modules side by side are one stroke.
        let mut from = None;
        for (column, color) in colors.iter().chain([&Color::Light]).enumerate() {
            match (color, from) {
                (Color::Dark, None) => from = Some(column),
                (Color::Light, Some(begin)) => {
                    path.push_str(&format!("M{} {}h{}v1H{0}z", begin + QUIET, row + QUIET, column - begin));
                    from = None;
                }
                _ => {}
            }
        }
    }
    let side = width + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules that the image paints dark, read from its strokes.
    fn painted(image: &str) -> Vec<(usize, usize)> {
        let path = image.rsplit("d=\"").next().and_then(|rest| rest.split('"').next()).expect("a path");
        let mut dark = Vec::new();
        for stroke in path.split('M').skip(1) {
            let (place, rest) = stroke.split_once('h').expect("a stroke");
            let (column, row) = place.split_once(' ').expect("a place");
            let (column, row): (usize, usize) = (column.parse().expect("x"), row.parse().expect("y"));
            let length: usize = rest.split('v').next().and_then(|text| text.parse().ok()).expect("a length");
            dark.extend((column..column + length).map(|column| (column, row)));
        }
        dark
    }

    #[test]
    fn the_image_paints_the_modules_of_the_code() {
        let text = format!("https://mail.post.example/join#ppi_{}", "0123456789abcdef".repeat(6));
        let image = qr_code(&text).expect("a code");
        let code = QrCode::with_error_correction_level(&text, EcLevel::M).expect("a code");
        let width = code.width();
        let mut expected = Vec::new();
        for (place, color) in code.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                expected.push((place % width + QUIET, place / width + QUIET));
            }
        }
        assert_eq!(painted(&image), expected);
        assert!(image.starts_with("<svg ") && image.len() < 40_000, "{}", image.len());
        assert_eq!(qr_code(&"x".repeat(5_000)), None);
    }
}
