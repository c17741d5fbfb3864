//! What leaves as evidence: packages for auditors, and pages to read.
//!
//! Owns the form of both. The same values give the same bytes: no time and no chance gets in. It
//! must not know the store or routes; `http::v2::audit` gathers what goes in.

mod archive;
mod page;
mod pdf;

pub(crate) use archive::Archive;
pub(crate) use page::{Page, Table};

use jiff::Timestamp;
use runstone_model::id::Micros;

/// A time as people read it, in UTC.
pub(crate) fn time(at: Micros) -> String {
    match Timestamp::from_microsecond(at.0) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{} s", at.to_seconds()),
    }
}

/// How to verify a package with other people's tools; `prefix` is its folder.
pub(crate) fn read_me(what: &str, page: &str, origin: &str, size: u64) -> String {
    format!(
        "# {what}\n\
\n\
This folder holds what Runstone recorded, and what is needed to check it without Runstone.\n\
\n\
- `{page}`: a summary to read.\n\
- `*.json`, `artifacts/`, `attestations/`: the objects as the API shows them.\n\
- `evidence/`: the attached files, byte for byte, under safe names.\n\
- `journal/entries/N.json`: the entries of the log that recorded all this.\n\
- `journal/receipts/N.tlog-proof`: for each entry the proof that it is in the log\n\
  (c2sp.org/tlog-proof), with the signed checkpoint.\n\
- `journal/bodies/N-P`: what stands in entry N under the P-th digest of its list `bodies`. A text\n\
  that people wrote begins with 32 random bytes. Attached files are in `evidence/` instead.\n\
- `journal/erased`: bodies that were erased since, if there are any: entry, position, digest. The\n\
  entries that name them still hold.\n\
- `journal/policy`, `journal/keys`, `journal/checkpoint`: the public keys of the log\n\
  (c2sp.org/tlog-policy and verifier keys with the sizes they signed) and its checkpoint.\n\
- `MANIFEST.sha256`: SHA-256 of every other file here.\n\
\n\
The log is `{origin}`, its checkpoint covers {size} entries.\n\
\n\
## Checking\n\
1. Files: `sha256sum --check MANIFEST.sha256`.\n\
2. Entries: each receipt against its entry, with a key that you had from elsewhere before\n\
   (compare it with `journal/keys`). Any tool for c2sp.org/tlog-proof does this. By hand: the leaf\n\
   is SHA-256 of a zero byte and the entry; the hashes of the receipt lead from it to the root in\n\
   the checkpoint as in RFC 6962, section 2.1.1; the checkpoint is a signed note\n\
   (c2sp.org/signed-note), which golang.org/x/mod/sumdb/note opens. With Runstone:\n\
   `runstone verify journal/receipts/N.tlog-proof --entry journal/entries/N.json --key KEY`.\n\
3. Contents: SHA-256 of each file in `journal/bodies` and `evidence` stands in its entry.\n\
4. That nothing was left out: ask for the whole log (`/log/…`, c2sp.org/tlog-tiles) and compare.\n"
    )
}
