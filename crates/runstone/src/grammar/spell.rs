//! Spellings that scripts know from the reference: quoted text, number complaints, CSV records.

use std::fmt::Write as _;

/// `text` in double quotes, with the escapes of the reference's `%q`.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// The fields of `text` read as one CSV record; only the first line counts.
///
/// Fields are not trimmed. Quotes enclose a field or are an error, whose text is returned.
pub fn csv_record(text: &str) -> Result<Vec<String>, String> {
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut fields = Vec::new();
    let mut rest = line;
    let mut column = 1;
    loop {
        if let Some(mut inner) = rest.strip_prefix('"') {
            column += 1;
            let mut field = String::new();
            loop {
                let Some(end) = inner.find('"') else {
                    return Err(format!(
                        "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                        column + inner.len()
                    ));
                };
                field.push_str(&inner[..end]);
                column += end + 1;
                inner = &inner[end + 1..];
                if let Some(after) = inner.strip_prefix('"') {
                    field.push('"');
                    column += 1;
                    inner = after;
                    continue;
                }
                if let Some(after) = inner.strip_prefix(',') {
                    fields.push(field);
                    column += 1;
                    rest = after;
                    break;
                }
                if inner.is_empty() {
                    fields.push(field);
                    return Ok(fields);
                }
                return Err(format!(
                    "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                    column - 1
                ));
            }
            continue;
        }
        let end = rest.find(',').unwrap_or(rest.len());
        let field = &rest[..end];
        if let Some(quote) = field.find('"') {
            return Err(format!(
                "parse error on line 1, column {}: bare \" in non-quoted-field",
                column + quote
            ));
        }
        fields.push(field.to_owned());
        if end == rest.len() {
            return Ok(fields);
        }
        column += end + 1;
        rest = &rest[end + 1..];
    }
}

/// Reads a number as the reference does: an optional sign, then a decimal number or one with a
/// `0x`, `0o`, `0b` or `0` prefix.
pub fn int(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    let complain = |what: &str| format!("strconv.ParseInt: parsing {}: {what}", quoted(text));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(complain("invalid syntax"));
    }
    let magnitude = i128::from_str_radix(digits, radix).unwrap_or(i128::MAX);
    let value = if negative { -magnitude } else { magnitude };
    i64::try_from(value).map_err(|_| complain("value out of range"))
}

/// Reads a truth value: `1 t T true TRUE True 0 f F false FALSE False`.
pub fn bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {}: invalid syntax",
            quoted(text)
        )),
    }
}

/// Reads a double.
pub fn float(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) if text.bytes().any(|byte| byte.is_ascii_digit()) => Err(format!(
            "strconv.ParseFloat: parsing {}: value out of range",
            quoted(text)
        )),
        Ok(value) => Ok(value),
        Err(_) => Err(format!(
            "strconv.ParseFloat: parsing {}: invalid syntax",
            quoted(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_records_are_read_as_contracted() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(
                csv_record(text),
                Ok(expected.iter().map(|s| (*s).to_owned()).collect())
            );
        };
        check("a", &["a"]);
        check("a,b", &["a", "b"]);
        check("a,,b", &["a", "", "b"]);
        check(" a, b", &[" a", " b"]);
        check("\"a,b\",c", &["a,b", "c"]);
        check("\"a\"\"b\"", &["a\"b"]);
        check("a,", &["a", ""]);
        assert_eq!(
            csv_record("a\"b"),
            Err("parse error on line 1, column 2: bare \" in non-quoted-field".to_owned())
        );
        assert_eq!(
            csv_record("\"a\"b"),
            Err(
                "parse error on line 1, column 3: extraneous or missing \" in quoted-field"
                    .to_owned()
            )
        );
    }

    #[test]
    fn numbers_are_read_as_contracted() {
        assert_eq!(int("12"), Ok(12));
        assert_eq!(int("-3"), Ok(-3));
        assert_eq!(int("0x1F"), Ok(31));
        assert_eq!(
            int("x"),
            Err("strconv.ParseInt: parsing \"x\": invalid syntax".to_owned())
        );
        assert_eq!(
            int("9223372036854775808"),
            Err("strconv.ParseInt: parsing \"9223372036854775808\": value out of range".to_owned())
        );
        assert!(int("1.5").is_err());
        assert_eq!(bool("T"), Ok(true));
        assert_eq!(
            bool("yes"),
            Err("strconv.ParseBool: parsing \"yes\": invalid syntax".to_owned())
        );
        assert_eq!(float("1e3"), Ok(1000.0));
        assert_eq!(
            float("x"),
            Err("strconv.ParseFloat: parsing \"x\": invalid syntax".to_owned())
        );
    }

    #[test]
    fn quotes_escape() {
        assert_eq!(quoted("a\"b\\\n\u{1}"), "\"a\\\"b\\\\\\n\\x01\"");
    }
}
