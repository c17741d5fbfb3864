//! Lays text out in elastic columns (`cli.md` 1.14): a column is as wide as its widest cell in the
//! contiguous run of lines that have the cell terminated, plus 2, at least 5.

use serde_json::Value;

use super::value::text;

const WIDTH_MIN: usize = 5;
const PADDING: usize = 2;

/// Lays out `text`, whose lines end in `\n` and whose cells are terminated by tabs.
///
/// The last cell of a line is never padded. Widths count code points.
pub fn columns(text: &str) -> String {
    let complete = text.ends_with('\n');
    let lines: Vec<Vec<&str>> = text
        .strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .map(|line| line.split('\t').collect())
        .collect();
    let mut layout = Layout {
        lines: &lines,
        widths: Vec::new(),
        out: Vec::with_capacity(lines.len()),
    };
    if !text.is_empty() {
        layout.block(0, lines.len());
    }
    let mut out = layout.out.join("\n");
    if complete {
        out.push('\n');
    }
    out
}

/// A table of rows below an upper-case header, as the list views have it.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = header.join("\t");
    text.push('\n');
    for row in rows {
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    columns(&text)
}

/// The line below a table that tells which page it is, in the members that the answer has them in.
pub fn paged(pagination: &Value, pages: &str, total: &str, things: &str) -> String {
    format!(
        "\nShowing page {} of {}, total {} {things}\n",
        text(pagination, "page"),
        text(pagination, pages),
        text(pagination, total)
    )
}

struct Layout<'a> {
    lines: &'a [Vec<&'a str>],
    widths: Vec<usize>,
    out: Vec<String>,
}

impl Layout<'_> {
    /// Lays out the lines `first..end`, whose columns so far are settled.
    fn block(&mut self, first: usize, end: usize) {
        let column = self.widths.len();
        let mut written = first;
        let mut line = first;
        while line < end {
            if column + 1 >= self.lines[line].len() {
                line += 1;
                continue;
            }
            self.write(written, line);
            written = line;
            let mut width = WIDTH_MIN;
            while line < end && column + 1 < self.lines[line].len() {
                width = width.max(self.lines[line][column].chars().count() + PADDING);
                line += 1;
            }
            self.widths.push(width);
            self.block(written, line);
            self.widths.pop();
            written = line;
        }
        self.write(written, end);
    }

    fn write(&mut self, first: usize, end: usize) {
        for line in &self.lines[first..end] {
            let mut text = String::new();
            for (column, cell) in line.iter().enumerate() {
                text.push_str(cell);
                if let Some(width) = self.widths.get(column) {
                    let missing = width.saturating_sub(cell.chars().count());
                    text.extend(std::iter::repeat_n(' ', missing));
                }
            }
            self.out.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_elastic() {
        let check = |text: &str, expected: &str| assert_eq!(columns(text), expected);
        check("", "");
        check("plain\n", "plain\n");
        check("NAME\tB\nlonger\tx\n", "NAME    B\nlonger  x\n");
        check("a\tb\n", "a    b\n");
        check("dé\tb\nabcde\tc\n", "dé     b\nabcde  c\n");
        // A trailing terminated empty cell is padded.
        check("a\t\n", "a    \n");
        // A line without the cell ends the column.
        check("a\tb\nplain\nabcdef\tb\n", "a    b\nplain\nabcdef  b\n");
        check("x\ty\tz\nlonglong\tw\n", "x         y    z\nlonglong  w\n");
    }

    #[test]
    fn multi_line_records_pad_as_contracted() {
        let text = "SNAPSHOT\tEVENT\tFLOW\n#8\tArtifact: a\tshop\n\tFingerprint: bb\t\n\t\t\n";
        assert_eq!(
            columns(text),
            "SNAPSHOT  EVENT            FLOW\n#8        Artifact: a      shop\n          Fingerprint: bb  \n                           \n"
        );
    }
}
