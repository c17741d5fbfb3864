//! Credentials (`api-organisation.md` section 3.1): bearer, and basic with the key in either
//! field. What cannot be read is no credential at all; whether that matters depends on the
//! organization.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::app::access::Credential;
use crate::keys;

/// What the headers bring.
pub(crate) fn credential(headers: &HeaderMap) -> Credential {
    let mut candidates = Vec::new();
    if let Some(value) = headers.get(AUTHORIZATION)
        && let Ok(text) = value.to_str()
        && let Some((scheme, rest)) = text.trim().split_once(' ')
    {
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            candidates.push(rest.to_owned());
        } else if scheme.eq_ignore_ascii_case("basic")
            && let Ok(decoded) = STANDARD.decode(rest)
            && let Ok(decoded) = String::from_utf8(decoded)
        {
            match decoded.split_once(':') {
                Some((user, password)) => {
                    candidates.push(user.to_owned());
                    candidates.push(password.to_owned());
                }
                None => candidates.push(decoded),
            }
        }
    }
    candidates.retain(|candidate| keys::check(candidate).is_ok());
    Credential { candidates }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &[&str]) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().expect("a header value"));
        assert_eq!(credential(&headers).candidates, expected, "{header}");
    }

    #[test]
    fn keys_are_found_wherever_clients_put_them() {
        check("Bearer abc", &["abc"]);
        check("bearer  abc ", &["abc"]);
        check(&format!("Basic {}", STANDARD.encode("abc:")), &["abc"]);
        check(&format!("Basic {}", STANDARD.encode(":abc")), &["abc"]);
        check(
            &format!("Basic {}", STANDARD.encode("u:p:q")),
            &["u", "p:q"],
        );
        check(&format!("Basic {}", STANDARD.encode("abc")), &["abc"]);
        check("Basic %%%", &[]);
        check("Bearer", &[]);
        check("Bearer DRY_RUN", &[]);
        check("Bearer a,b", &[]);
        check("Digest abc", &[]);
        assert!(credential(&HeaderMap::new()).candidates.is_empty());
    }
}
