//! Which registry digest identifies a local image (`cli.md` 3.4).
//!
//! A pure function over what a container engine's image inspection says; talking to the engine
//! is the collector's work.

use runstone_model::id::{Fingerprint, decode_hex_32};

/// The image was never pushed to or pulled from a registry, so nothing identifies it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("repo digest unavailable for the image, has it been pushed to or pulled from a registry?")]
pub struct NoRepoDigest;

/// The fingerprint among an image's `RepoDigests` (texts `<repository>@sha256:<64 digits>`) that
/// belongs to `reference`, the text the image was asked for by.
///
/// # Errors
/// [`NoRepoDigest`] if there is none, or none of the repository the reference names.
pub fn repo_digest<S: AsRef<str>>(
    reference: &str,
    repo_digests: &[S],
) -> Result<Fingerprint, NoRepoDigest> {
    let chosen = match repo_digests {
        [] => None,
        [only] => Some(only.as_ref()),
        [first, ..] if decode_hex_32(reference.as_bytes()).is_some() => Some(first.as_ref()),
        several => {
            let repository = repository(reference);
            several
                .iter()
                .map(AsRef::as_ref)
                .find(|digest| digest.starts_with(repository))
        }
    };
    chosen
        .and_then(|text| text.rsplit_once("@sha256:"))
        .and_then(|(_, digits)| decode_hex_32(digits.as_bytes()))
        .map(Fingerprint)
        .ok_or(NoRepoDigest)
}

/// The beginning that a matching repo digest must have. Cut at the first colon, so a registry's
/// port and everything after it is lost: `host:5000/a` takes the first digest of `host`. That
/// is the published client's rule and decides which fingerprint is reported.
fn repository(reference: &str) -> &str {
    let name = reference.strip_prefix("library/").unwrap_or(reference);
    let name = name.split(':').next().unwrap_or_default();
    name.strip_suffix("@sha256").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reference: &str, digests: &[(&str, u8)], expected: Option<u8>) {
        let digests: Vec<String> = digests
            .iter()
            .map(|(name, byte)| format!("{name}@sha256:{}", Fingerprint([*byte; 32])))
            .collect();
        assert_eq!(
            repo_digest(reference, &digests).ok(),
            expected.map(|byte| Fingerprint([byte; 32])),
            "{reference}"
        );
    }

    #[test]
    fn selects() {
        let two = [("nginx", 1), ("127.0.0.1:5000/shop/nginx", 2)];
        check("nginx", &[], None);
        check("anything", &two[..1], Some(1));
        check("nginx:1.27", &two, Some(1));
        check("library/nginx:1.27", &two, Some(1));
        check("127.0.0.1:5000/shop/nginx:1", &two, Some(2));
        check("redis", &two, None);
        check(&"a".repeat(64), &two, Some(1));
        check(&format!("nginx@sha256:{}", "b".repeat(64)), &two, Some(1));
        check("sha256:aa", &two, None);
        assert_eq!(repo_digest("x", &["x@sha512:00"]), Err(NoRepoDigest));
    }
}
