//! The two shapes of paging: the envelope and the headers (`api-environments.md` section 1.4).
//!
//! Owns the arithmetic of pages and the addresses of other pages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Href {
    /// Absolute address.
    pub href: String,
}

/// Links of an envelope; absent ones are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageLinks {
    /// This page.
    #[serde(rename = "self")]
    pub this: Href,
    /// The first page.
    pub first: Href,
    /// The page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Href>,
    /// The page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Href>,
    /// The last page.
    pub last: Href,
}

/// Which page of how many items is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub page: u64,
    /// Most items of a page, from 1.
    pub per_page: u64,
}

impl Page {
    /// Items before this page.
    pub fn offset(self) -> u64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// Number of pages; none if there are no items.
    pub fn total_pages(self, total: u64) -> u64 {
        total.div_ceil(self.per_page)
    }

    /// Offset and number of the items on this page.
    pub fn window(self, total: u64) -> (u64, u64) {
        let offset = self.offset().min(total);
        (offset, self.per_page.min(total - offset))
    }

    fn neighbours(self, total: u64) -> (u64, Option<u64>, Option<u64>) {
        let last = self.total_pages(total).max(1);
        let previous = (self.page > 1).then(|| (self.page - 1).min(last));
        let next = (self.page < last).then_some(self.page + 1);
        (last, previous, next)
    }

    /// Links to other pages; `href` gives the absolute address of a page.
    pub fn links(self, total: u64, href: impl Fn(u64) -> String) -> PageLinks {
        let (last, previous, next) = self.neighbours(total);
        let link = |page| Href { href: href(page) };
        PageLinks {
            this: link(self.page),
            first: link(1),
            prev: previous.map(link),
            next: next.map(link),
            last: link(last),
        }
    }

    /// The `Link` header, if there is more than one page.
    pub fn link_header(self, total: u64, href: impl Fn(u64) -> String) -> Option<String> {
        let (last, previous, next) = self.neighbours(total);
        if last == 1 {
            return None;
        }
        let mut links = vec![(1, "first")];
        links.extend(previous.map(|page| (page, "prev")));
        links.extend(next.map(|page| (page, "next")));
        links.push((last, "last"));
        let links: Vec<String> = links
            .into_iter()
            .map(|(page, relation)| format!("<{}>; rel=\"{relation}\"", href(page)))
            .collect();
        Some(links.join(", "))
    }
}

/// `query` with its `page` parameter set to `page`; everything else stays as it is.
pub fn query_with_page(query: &str, page: u64) -> String {
    let mut found = false;
    let mut parts: Vec<String> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            if part.split('=').next() == Some("page") {
                found = true;
                format!("page={page}")
            } else {
                part.to_owned()
            }
        })
        .collect();
    if !found {
        parts.push(format!("page={page}"));
    }
    parts.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_and_linked() {
        let page = Page {
            page: 2,
            per_page: 10,
        };
        assert_eq!(page.window(25), (10, 10));
        assert_eq!(page.window(12), (10, 2));
        assert_eq!(page.window(3), (3, 0));
        let href = |page| format!("p{page}");
        let links = page.links(25, href);
        assert_eq!(links.prev.map(|link| link.href).as_deref(), Some("p1"));
        assert_eq!(links.next.map(|link| link.href).as_deref(), Some("p3"));
        assert_eq!(
            page.link_header(25, href).as_deref(),
            Some(r#"<p1>; rel="first", <p1>; rel="prev", <p3>; rel="next", <p3>; rel="last""#)
        );
        assert_eq!(page.link_header(10, href), None);
        let beyond = Page {
            page: 99,
            per_page: 10,
        };
        let links = beyond.links(25, href);
        assert_eq!(links.prev.map(|link| link.href).as_deref(), Some("p3"));
        assert_eq!(links.next, None);
        assert_eq!(beyond.window(25), (25, 0));
        assert_eq!(
            Page {
                page: u64::MAX,
                per_page: 50
            }
            .window(25),
            (25, 0)
        );
    }

    #[test]
    fn the_rest_of_the_query_stays() {
        assert_eq!(query_with_page("a=1&page=2&b=%20", 3), "a=1&page=3&b=%20");
        assert_eq!(query_with_page("per_page=5", 2), "per_page=5&page=2");
        assert_eq!(query_with_page("", 2), "page=2");
    }
}
