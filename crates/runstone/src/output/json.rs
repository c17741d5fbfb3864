//! Re-indents a JSON text without touching the order of its keys or the spelling of its numbers
//! and strings.

/// `body` indented by `indent` blanks a level, without a final newline.
///
/// The reason if it is not JSON, in the words scripts know.
pub fn indented(body: &[u8], indent: usize) -> Result<String, String> {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        return Err(runstone_api::client::not_json(body, &error));
    }
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut letters = text.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * depth));
    };
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                out.push('"');
                while let Some(inner) = letters.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(letters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    Ok(out)
}

/// The compact form of a value, the keys of its objects sorted.
pub fn sorted_keys(value: &serde_json::Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}

/// `json` with the characters escaped that mean something in HTML, as some serializers do.
pub fn escaped_for_html(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spelling_are_kept() {
        assert_eq!(
            indented(br#" {"b":1.50,"a":[],"c":{ },"d":[1,"x: {\"}"]}"#, 2),
            Ok("{\n  \"b\": 1.50,\n  \"a\": [],\n  \"c\": {},\n  \"d\": [\n    1,\n    \"x: {\\\"}\"\n  ]\n}".to_owned())
        );
        assert_eq!(indented(b"null", 4), Ok("null".to_owned()));
        assert_eq!(
            indented(b"<html>", 2),
            Err("invalid character '<' looking for beginning of value".to_owned())
        );
    }
}
