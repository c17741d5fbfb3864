//! Sheets as PDF, with the fonts that every reader has. Nothing is compressed: a package compresses
//! it anyway, and whoever distrusts it can read it as it is.
//!
//! These fonts know the characters of western Europe. Any other one is written as its number,
//! `<U+4E2D>`; so are control characters, which then do nothing.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

use super::page::SHEET;

/// A font.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Regular,
    Bold,
}

impl Face {
    fn name(self) -> Name<'static> {
        match self {
            Self::Regular => Name(b"F1"),
            Self::Bold => Name(b"F2"),
        }
    }
}

/// A sheet of paper.
#[derive(Default)]
pub(super) struct Sheet {
    marks: Vec<Mark>,
}

enum Mark {
    Text(Face, f32, f32, f32, Vec<u8>),
    Rule(f32, f32, f32),
}

impl Sheet {
    /// Writes an encoded text at a place.
    pub(super) fn text(&mut self, face: Face, size: f32, x: f32, y: f32, text: &[u8]) {
        self.marks.push(Mark::Text(face, size, x, y, text.to_vec()));
    }

    /// Draws a line between two places of the same height.
    pub(super) fn rule(&mut self, from: f32, to: f32, y: f32) {
        self.marks.push(Mark::Rule(from, to, y));
    }

    fn content(&self) -> Vec<u8> {
        let mut content = Content::new();
        content.set_line_width(0.5);
        for mark in &self.marks {
            match mark {
                Mark::Text(face, size, x, y, text) => {
                    content.begin_text();
                    content.set_font(face.name(), *size);
                    content.next_line(*x, *y);
                    content.show(Str(text));
                    content.end_text();
                }
                Mark::Rule(from, to, y) => {
                    content.move_to(*from, *y);
                    content.line_to(*to, *y);
                    content.stroke();
                }
            }
        }
        content.finish().to_vec()
    }
}

/// The document of these sheets.
pub(super) fn document(title: &str, sheets: &[Sheet]) -> Vec<u8> {
    let mut pdf = Pdf::new();
    let [catalog, tree, info, regular, bold] = [1, 2, 3, 4, 5].map(Ref::new);
    let page = |number: usize| Ref::new(6 + 2 * number as i32);
    let content = |number: usize| Ref::new(7 + 2 * number as i32);
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(info)
        .title(TextStr(title))
        .producer(TextStr("Runstone"));
    pdf.pages(tree)
        .kids((0..sheets.len()).map(page))
        .count(sheets.len() as i32);
    for (id, name) in [(regular, &b"Helvetica"[..]), (bold, b"Helvetica-Bold")] {
        pdf.type1_font(id)
            .base_font(Name(name))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (number, sheet) in sheets.iter().enumerate() {
        let mut written = pdf.page(page(number));
        written.media_box(Rect::new(0.0, 0.0, SHEET.0, SHEET.1));
        written.parent(tree);
        written.contents(content(number));
        let mut resources = written.resources();
        let mut fonts = resources.fonts();
        fonts.pair(Face::Regular.name(), regular);
        fonts.pair(Face::Bold.name(), bold);
        fonts.finish();
        resources.finish();
        written.finish();
        pdf.stream(content(number), &sheet.content());
    }
    pdf.finish()
}

/// A text in the encoding of the fonts (PDF 1.7, annex D.2, `WinAnsiEncoding`).
pub(super) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{ff}' => bytes.push(character as u8),
            '\u{a0}' => bytes.push(b' '),
            _ => match EXTRA
                .iter()
                .position(|extra| *extra == character && character != '\0')
            {
                Some(place) => bytes.push(0x80 + place as u8),
                None => bytes.extend_from_slice(format!("<U+{:04X}>", character as u32).as_bytes()),
            },
        }
    }
    bytes
}

/// Characters from 0x80 on; those that are not assigned stand for nothing.
const EXTRA: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘',
    '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

/// Width of an encoded text of size 1.
pub(super) fn width(face: Face, text: &[u8]) -> f32 {
    let units: u32 = text.iter().map(|byte| u32::from(unit(*byte))).sum();
    // Bold letters are up to a tenth wider; a line that ends early does no harm.
    let wider = if face == Face::Bold { 1.1 } else { 1.0 };
    units as f32 / 1_000.0 * wider
}

/// Widths of Helvetica from the blank on, in thousandths.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

fn unit(byte: u8) -> u16 {
    match byte {
        b' '..=b'~' => WIDTHS[usize::from(byte - b' ')],
        // At most; the widest are ligatures and signs.
        0x80..=0xbf | 0xc6 => 1_000,
        0xc0..=0xdf => 778,
        _ => 611,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_or_spelled() {
        assert_eq!(encode("a-Z ~"), b"a-Z ~");
        assert_eq!(encode("äß€…"), b"\xe4\xdf\x80\x85");
        assert_eq!(
            encode("\0\n\u{81}\u{ad}中"),
            b"<U+0000><U+000A><U+0081><U+00AD><U+4E2D>"
        );
    }
}
