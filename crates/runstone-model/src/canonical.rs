//! Canonical JSON (RFC 8785) for the subset the journal uses: objects, arrays, strings,
//! integers, booleans and null. Keys are ASCII, so that UTF-16 order is byte order.

use serde_json::Value;

/// Appends `text` as a JSON string with the shortest escapes RFC 8785 section 3.2.2.2 allows.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{9}' => out.push_str("\\t"),
            '\u{a}' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\u{d}' => out.push_str("\\r"),
            control if control < ' ' => {
                out.push_str("\\u00");
                out.push(if control < '\u{10}' { '0' } else { '1' });
                let digit = control as u32 & 15;
                out.push(char::from_digit(digit, 16).expect("below 16"));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Appends `value` in canonical form. Numbers that are not integers are written as serde_json
/// writes them; the journal has none.
pub fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push('{');
            for (position, (key, member)) in members.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

/// Canonical text of `value`.
pub fn to_string(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8785 section 3.2.3, without its floating-point members.
    #[test]
    fn sorts_and_escapes_as_the_rfc_says() {
        let value: Value = serde_json::from_str(
            "{\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\", \"literals\": [null, true, false], \"b\": 1, \"a\": -2}",
        )
        .expect("valid JSON");
        assert_eq!(
            to_string(&value),
            "{\"a\":-2,\"b\":1,\"literals\":[null,true,false],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
    }
}
