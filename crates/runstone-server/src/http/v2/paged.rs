//! Pages with totals and links, and windows of time, as the lists of repositories, builds and
//! deployments share them (`api-organisation.md` sections 2.4 and 2.5).

use runstone_api::paging::{Page, PageLinks, query_with_page};
use runstone_model::id::Micros;
use runstone_model::read::QueryReader;

use crate::app::error::AppError;
use crate::http::call::{Query, ReadCall};

/// Window of time where none is asked for.
const WINDOW_DAYS: i64 = 28;
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The page that is asked for; without items, only their number is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    page: Page,
    empty: bool,
}

impl Asked {
    /// Reads `page` and `per_page`, of which there are `least` to `most` on a page.
    pub(super) fn read(
        check: &mut QueryReader,
        query: &Query,
        (least, usual, most): (u64, u64, u64),
    ) -> Self {
        let page = check.integer("page", query.filled("page"), 1, None);
        let per_page = check.integer("per_page", query.filled("per_page"), least, Some(most));
        Self::of(page.unwrap_or(1), per_page.unwrap_or(usual))
    }

    pub(super) fn of(page: u64, per_page: u64) -> Self {
        Self {
            page: Page {
                page,
                per_page: per_page.max(1),
            },
            empty: per_page == 0,
        }
    }

    pub(super) fn page(&self) -> u64 {
        self.page.page
    }

    pub(super) fn per_page(&self) -> u64 {
        if self.empty { 0 } else { self.page.per_page }
    }

    /// Offset and number of the items on the page.
    pub(super) fn window(&self, total: u64) -> (u64, u64) {
        if self.empty {
            (0, 0)
        } else {
            self.page.window(total)
        }
    }

    pub(super) fn total_pages(&self, total: u64) -> u64 {
        if self.empty {
            0
        } else {
            self.page.total_pages(total)
        }
    }

    /// Links to the other pages of what was asked for.
    pub(super) fn links(&self, call: &ReadCall, total: u64) -> PageLinks {
        let origin = call.parts.origin();
        let total = if self.empty { 0 } else { total };
        self.page.links(total, |page| {
            format!(
                "{origin}{}?{}",
                call.parts.path(),
                query_with_page(call.parts.raw_query(), page)
            )
        })
    }
}

/// A window of time, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: Micros,
    /// No end where none is asked for: what was just received may be a little ahead of the clock.
    pub(super) to: Micros,
    /// The end as it is shown.
    pub(super) end: Micros,
}

impl Window {
    /// The window between two moments: without an end up to now, without a beginning so many days
    /// before the end.
    pub(super) fn of(
        start: Option<Micros>,
        end: Option<Micros>,
        now: Micros,
        days: i64,
    ) -> Result<Self, AppError> {
        let window = Self {
            from: start.unwrap_or(Micros(end.unwrap_or(now).0.saturating_sub(days * DAY))),
            to: end.unwrap_or(Micros(i64::MAX)),
            end: end.unwrap_or(now),
        };
        if window.from > window.to {
            return Err(AppError::bad("The window of time begins after its end"));
        }
        Ok(window)
    }
}

/// The window that is asked for: the last four weeks, if none is. Early clients spell the names
/// with a hyphen.
pub(super) fn window(
    check: &mut QueryReader,
    query: &Query,
    now: Micros,
) -> impl FnOnce() -> Result<Window, AppError> + use<> {
    let filled = |name: &str, early: &str| query.filled(name).or(query.filled(early));
    let start = check.number("start_ts", filled("start_ts", "start-ts"));
    let end = check.number("end_ts", filled("end_ts", "end-ts"));
    move || {
        let at = Micros::from_seconds;
        Window::of(start.map(at), end.map(at), now, WINDOW_DAYS)
    }
}
