//! What a benchmark says: rows with our value, the peer's or the limit's, their ratio, and the
//! target. Owns how they are printed; it judges nothing else.

use serde_json::{Value, json};

/// What a row must reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The ratio to the peer is at least this.
    Ratio(f64),
    /// Our value is at least this.
    AtLeast(f64),
    /// Our value is at most this.
    AtMost(f64),
    /// Shown beside others, with no target of its own.
    None,
}

/// One measured row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the benchmark that measured it.
    pub bench: &'static str,
    /// What was measured.
    pub measure: String,
    /// Our value.
    pub ours: f64,
    /// Unit of both values.
    pub unit: &'static str,
    /// The peer or limit, and its value in the same run.
    pub peer: Option<(String, f64)>,
    /// How many times better we are; more is better, whatever the unit.
    pub ratio: Option<f64>,
    /// Target.
    pub goal: Goal,
}

impl Row {
    /// A row where more is better.
    pub fn rate(
        bench: &'static str,
        measure: impl Into<String>,
        unit: &'static str,
        ours: f64,
        peer: Option<(&str, f64)>,
        goal: Goal,
    ) -> Self {
        Self {
            bench,
            measure: measure.into(),
            ours,
            unit,
            ratio: peer.map(|(_, value)| ours / value),
            peer: peer.map(|(name, value)| (name.to_owned(), value)),
            goal,
        }
    }

    /// A row where less is better.
    pub fn cost(
        bench: &'static str,
        measure: impl Into<String>,
        unit: &'static str,
        ours: f64,
        peer: Option<(&str, f64)>,
        goal: Goal,
    ) -> Self {
        Self {
            ratio: peer.map(|(_, value)| value / ours),
            ..Self::rate(bench, measure, unit, ours, peer, goal)
        }
    }

    /// Whether the target is reached; none if there is none.
    pub fn reached(&self) -> Option<bool> {
        match self.goal {
            Goal::Ratio(least) => Some(self.ratio.is_some_and(|ratio| ratio >= least)),
            Goal::AtLeast(least) => Some(self.ours >= least),
            Goal::AtMost(most) => Some(self.ours <= most),
            Goal::None => None,
        }
    }

    fn target(&self) -> String {
        match self.goal {
            Goal::Ratio(least) => format!(">= {least}x"),
            Goal::AtLeast(least) => format!(">= {}", number(least)),
            Goal::AtMost(most) => format!("<= {}", number(most)),
            Goal::None => String::new(),
        }
    }

    fn cells(&self) -> [String; 7] {
        let verdict = match self.reached() {
            Some(true) => "reached",
            Some(false) => "below",
            None => "",
        };
        [
            self.bench.to_owned(),
            self.measure.clone(),
            format!("{} {}", number(self.ours), self.unit),
            self.peer
                .as_ref()
                .map_or_else(String::new, |(name, value)| {
                    format!("{name}: {}", number(*value))
                }),
            self.ratio
                .map_or_else(String::new, |ratio| format!("{}x", number(ratio))),
            self.target(),
            verdict.to_owned(),
        ]
    }

    /// The row for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "benchmark": self.bench,
            "measure": self.measure,
            "value": self.ours,
            "unit": self.unit,
            "peer": self.peer.as_ref().map(|(name, value)| json!({"name": name, "value": value})),
            "ratio": self.ratio,
            "target": self.target(),
            "reached": self.reached(),
        })
    }
}

/// Three significant digits, without an exponent.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        // Groups of three digits, as the targets are written.
        let digits = format!("{value:.0}");
        let (sign, digits) = digits
            .strip_prefix('-')
            .map_or(("", digits.as_str()), |rest| ("-", rest));
        let mut text = String::new();
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        format!("{sign}{text}")
    } else if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.01 || size == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.5}")
    }
}

/// One row by itself, while the others are still being measured.
pub fn line(row: &Row) -> String {
    let [_, measure, ours, peer, ratio, target, verdict] = row.cells();
    let rest: Vec<_> = [peer, ratio, target, verdict]
        .into_iter()
        .filter(|cell| !cell.is_empty())
        .collect();
    format!("   {measure}: {ours}  {}\n", rest.join("  "))
}

/// All rows under one another.
pub fn table(rows: &[Row]) -> String {
    let head = [
        "benchmark",
        "measure",
        "Runstone",
        "peer or limit",
        "ratio",
        "target",
        "",
    ]
    .map(str::to_owned);
    let cells: Vec<_> = std::iter::once(head)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let mut widths = [0; 7];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &cells {
        let padded: Vec<_> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_says_how_many_times_better() {
        let faster = Row::rate("x", "m", "1/s", 20.0, Some(("p", 10.0)), Goal::Ratio(2.0));
        assert_eq!(faster.ratio, Some(2.0));
        assert_eq!(faster.reached(), Some(true));
        let smaller = Row::cost("x", "m", "B", 20.0, Some(("p", 10.0)), Goal::Ratio(1.0));
        assert_eq!(smaller.ratio, Some(0.5));
        assert_eq!(smaller.reached(), Some(false));
        let bounded = Row::cost("x", "m", "us", 20.0, None, Goal::AtMost(20.0));
        assert_eq!(bounded.reached(), Some(true));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (1_234_567.4, "1,234,567"),
            (-1_000.0, "-1,000"),
            (999.4, "999"),
            (42.0, "42.0"),
            (0.5, "0.50"),
            (0.000_5, "0.00050"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
