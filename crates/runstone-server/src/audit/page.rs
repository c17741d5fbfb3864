//! A page to read: headings, facts and tables, broken into sheets of paper.

use super::pdf::{Face, Sheet, document, encode, width};

/// Size of a sheet (A4) and its margins, in points.
pub(super) const SHEET: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 48.0;
const WIDTH: f32 = SHEET.0 - 2.0 * MARGIN;
/// The lowest line stands above what is written below it.
const LOWEST: f32 = MARGIN + 20.0;
/// Size of the text, and the distance of its lines.
const TEXT: f32 = 9.0;
const LEADING: f32 = 12.0;
/// Room for the names of facts.
const LABEL: f32 = 110.0;
/// Room between columns.
const GAP: f32 = 6.0;
/// Longer texts are cut.
const TEXT_CHARS_MAX: usize = 4_000;

/// A page in the making.
pub(crate) struct Page {
    title: String,
    sheets: Vec<Sheet>,
    /// Where the next line stands.
    y: f32,
}

/// A table: names of columns with their share of the width, and rows.
pub(crate) struct Table {
    /// Columns.
    pub(crate) columns: Vec<(&'static str, f32)>,
    /// Cells of each row.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Page {
    /// One with this title.
    pub(crate) fn new(title: &str) -> Self {
        let mut page = Self {
            title: title.to_owned(),
            sheets: vec![Sheet::default()],
            y: SHEET.1 - MARGIN - 16.0,
        };
        for line in wrap(title, Face::Bold, 16.0, WIDTH) {
            page.line(Face::Bold, 16.0, MARGIN, &line);
            page.y -= 20.0;
        }
        page
    }

    /// Begins another sheet unless there is room for so much.
    fn need(&mut self, height: f32) -> bool {
        if self.y - height >= LOWEST {
            return false;
        }
        self.sheets.push(Sheet::default());
        self.y = SHEET.1 - MARGIN - TEXT;
        true
    }

    fn line(&mut self, face: Face, size: f32, x: f32, text: &[u8]) {
        let y = self.y;
        let sheet = self.sheets.last_mut().expect("there is always one");
        sheet.text(face, size, x, y, text);
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) {
        self.need(4.0 * LEADING);
        self.y -= LEADING;
        let text = encode(text);
        self.line(Face::Bold, 12.0, MARGIN, &text);
        self.y -= LEADING + 4.0;
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        for line in wrap(text, Face::Regular, TEXT, WIDTH) {
            self.need(0.0);
            self.line(Face::Regular, TEXT, MARGIN, &line);
            self.y -= LEADING;
        }
    }

    /// A fact with its name; nothing if it is empty.
    pub(crate) fn fact(&mut self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let name = encode(name);
        let lines = wrap(text, Face::Regular, TEXT, WIDTH - LABEL);
        for (number, line) in lines.iter().enumerate() {
            self.need(0.0);
            if number == 0 {
                self.line(Face::Bold, TEXT, MARGIN, &name);
            }
            self.line(Face::Regular, TEXT, MARGIN + LABEL, line);
            self.y -= LEADING;
        }
    }

    /// A table, its head again on each sheet; `none` if there are no rows.
    pub(crate) fn table(&mut self, table: &Table, none: &str) {
        if table.rows.is_empty() {
            self.paragraph(none);
            return;
        }
        let whole: f32 = table.columns.iter().map(|(_, share)| share).sum();
        let mut left = MARGIN;
        let places: Vec<(f32, f32)> = table
            .columns
            .iter()
            .map(|(_, share)| {
                let room = WIDTH * share / whole;
                let place = (left, room - GAP);
                left += room;
                place
            })
            .collect();
        self.need(3.0 * LEADING);
        self.head(table, &places);
        for row in &table.rows {
            let cells: Vec<Vec<Vec<u8>>> = row
                .iter()
                .zip(&places)
                .map(|(cell, (_, room))| wrap(cell, Face::Regular, TEXT, *room))
                .collect();
            let lines = cells.iter().map(Vec::len).max().unwrap_or(0);
            for number in 0..lines {
                // A row that fits on a sheet is not torn apart.
                let rest = (lines - number) as f32 * LEADING;
                let height = if number == 0 && rest < SHEET.1 / 2.0 {
                    rest - LEADING
                } else {
                    0.0
                };
                if self.need(height) {
                    self.head(table, &places);
                }
                for (cell, (x, _)) in cells.iter().zip(&places) {
                    if let Some(line) = cell.get(number) {
                        self.line(Face::Regular, TEXT, *x, line);
                    }
                }
                self.y -= LEADING;
            }
            self.y -= 2.0;
        }
    }

    fn head(&mut self, table: &Table, places: &[(f32, f32)]) {
        for ((name, _), (x, _)) in table.columns.iter().zip(places) {
            let name = encode(name);
            self.line(Face::Bold, TEXT, *x, &name);
        }
        let y = self.y - 3.0;
        let sheet = self.sheets.last_mut().expect("there is always one");
        sheet.rule(MARGIN, SHEET.0 - MARGIN, y);
        self.y -= LEADING + 3.0;
    }

    /// The document.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let count = self.sheets.len();
        let title = wrap(&self.title, Face::Regular, 8.0, WIDTH - 80.0)
            .into_iter()
            .next()
            .unwrap_or_default();
        for (number, sheet) in self.sheets.iter_mut().enumerate() {
            sheet.text(Face::Regular, 8.0, MARGIN, MARGIN, &title);
            let text = encode(&format!("Page {} of {count}", number + 1));
            let x = SHEET.0 - MARGIN - width(Face::Regular, &text) * 8.0;
            sheet.text(Face::Regular, 8.0, x, MARGIN, &text);
        }
        document(&self.title, &self.sheets)
    }
}

/// Breaks a text into lines that have room: between words, or within one that is too long.
fn wrap(text: &str, face: Face, size: f32, room: f32) -> Vec<Vec<u8>> {
    let cut: String = if text.chars().count() > TEXT_CHARS_MAX {
        let kept = text.chars().take(TEXT_CHARS_MAX);
        kept.chain("…".chars()).collect()
    } else {
        text.to_owned()
    };
    let mut lines = Vec::new();
    for paragraph in cut.lines() {
        let bytes = encode(paragraph);
        let mut line: Vec<u8> = Vec::new();
        let mut used = 0.0;
        for word in bytes.split_inclusive(|byte| *byte == b' ') {
            let wide = width(face, word) * size;
            if used + wide > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                used = 0.0;
            }
            if wide <= room {
                line.extend_from_slice(word);
                used += wide;
                continue;
            }
            for byte in word {
                let wide = width(face, &[*byte]) * size;
                if used + wide > room && !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    used = 0.0;
                }
                line.push(*byte);
                used += wide;
            }
        }
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push(Vec::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_room() {
        let long = "x".repeat(300);
        for text in [
            "",
            "a b c",
            "one two three four five six seven",
            &long,
            "a\nb\n\nc",
        ] {
            let lines = wrap(text, Face::Regular, 9.0, 60.0);
            assert!(lines.iter().all(|line| {
                let trimmed = line.strip_suffix(b" ").unwrap_or(line);
                width(Face::Regular, trimmed) * 9.0 <= 60.0
            }));
            let joined = lines.concat();
            assert_eq!(joined, encode(&text.replace('\n', "")));
        }
        assert_eq!(wrap("a\nb\n\nc", Face::Bold, 9.0, 60.0).len(), 4);
        assert!(
            wrap(&"y".repeat(10_000), Face::Bold, 9.0, 60.0)
                .concat()
                .len()
                < 4_100
        );
    }

    #[test]
    fn a_long_table_has_its_head_on_every_sheet() {
        let make = || {
            let mut page = Page::new("Trail <b>t1</b> \u{202e}\u{4e2d} (a");
            page.heading("Attestations");
            page.fact("Flow", "web\u{0}\u{1b}[31m");
            let rows = (0..500)
                .map(|n| vec![format!("scan-{n}"), "x ".repeat(40)])
                .collect();
            let columns = vec![("Name", 1.0), ("What", 2.0)];
            page.table(&Table { columns, rows }, "none");
            page.finish()
        };
        let bytes = make();
        assert_eq!(bytes, make());
        assert!(bytes.starts_with(b"%PDF-1.7"));
        let text = String::from_utf8_lossy(&bytes);
        let sheets = text.matches("(Name) Tj").count();
        assert!(sheets > 5, "{sheets}");
        assert!(
            text.contains(&format!("(Page 1 of {sheets}) Tj")),
            "{sheets}"
        );
        assert!(text.contains("(scan-0) Tj") && text.contains("(scan-499) Tj"));
        assert!(
            text.contains("(Trail <b>t1</b> <U+202E><U+4E2D> \\(a) Tj"),
            "{}",
            &text[..3_000]
        );
        assert!(text.contains("(web<U+0000><U+001B>[31m) Tj"));
    }
}
