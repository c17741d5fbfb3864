//! Times in arguments of commands that ask about the past: resolved on the client into what the
//! wire knows, with the zone of `--tz` or the local one.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use crate::context::{Context, parse};
use crate::grammar::when;

/// The zone of `--tz`, if it was given.
fn named_zone(context: &Context) -> anyhow::Result<Option<TimeZone>> {
    let name = context.values.text("tz");
    if name.is_empty() {
        return Ok(None);
    }
    Ok(Some(when::zone(name)?))
}

/// A snapshot expression in the form of the wire.
pub fn expression(context: &Context, text: &str) -> anyhow::Result<String> {
    let named = named_zone(context)?;
    Ok(when::expression(
        text,
        context.times().now,
        &context.times().zone,
        named.as_ref(),
    )?)
}

/// The first instant of `--since`, if it was given.
pub fn since(context: &Context) -> anyhow::Result<Option<Timestamp>> {
    first_instant(context, "since")
}

/// The first instant of `--until`, if it was given; what happened then does not count any more.
pub fn until(context: &Context) -> anyhow::Result<Option<Timestamp>> {
    let Some(until) = first_instant(context, "until")? else {
        return Ok(None);
    };
    // The wire's bounds are inclusive and whole seconds here.
    Ok(Some(until.checked_sub(1.second()).unwrap_or(until)))
}

/// The first instant of `--until`, if it was given.
pub fn end(context: &Context) -> anyhow::Result<Option<Timestamp>> {
    first_instant(context, "until")
}

fn first_instant(context: &Context, flag: &str) -> anyhow::Result<Option<Timestamp>> {
    let text = context.values.text(flag);
    if text.is_empty() {
        return Ok(None);
    }
    let zone = named_zone(context)?.unwrap_or_else(|| context.times().zone.clone());
    let now = context.times().now.to_zoned(zone.clone());
    Ok(Some(when::moment(text, &now)?.first(&zone)?))
}

/// The interval in the form of the wire: sides such as `@{last thursday}` become the numbers of
/// the snapshots that were current then.
pub fn interval(context: &Context, environment: &str, text: &str) -> anyhow::Result<String> {
    if !text.contains('{') {
        return Ok(text.to_owned());
    }
    let side = |side: &str| -> anyhow::Result<String> {
        let Some(braced) = side
            .strip_prefix('@')
            .or(Some(side))
            .filter(|s| s.starts_with('{'))
        else {
            return Ok(side.to_owned());
        };
        let resolved = expression(context, &format!("{environment}@{braced}"))?;
        let reference = &resolved[environment.len()..];
        Ok(index_at(context, environment, reference)?
            .map_or_else(|| "1".to_owned(), |index| index.to_string()))
    };
    match text.split_once("..") {
        Some((from, to)) => Ok(format!("{}..{}", side(from)?, side(to)?)),
        None => side(text),
    }
}

/// The interval between `--since` and `--until`; nothing if it ends before the first snapshot.
pub fn interval_between(context: &Context, environment: &str) -> anyhow::Result<Option<String>> {
    let reference = |instant| format!("@{{{}}}", when::wire_time(instant));
    let from = match since(context)? {
        Some(since) => index_at(context, environment, &reference(since))?.unwrap_or(1),
        None => 1,
    };
    let to = match until(context)?.filter(|until| *until < context.times().now) {
        Some(until) => match index_at(context, environment, &reference(until))? {
            Some(index) => index.to_string(),
            None => return Ok(None),
        },
        None => "NOW".to_owned(),
    };
    Ok(Some(format!("{from}..{to}")))
}

/// The number of the snapshot that `reference` names; nothing if there was none yet.
fn index_at(context: &Context, environment: &str, reference: &str) -> anyhow::Result<Option<i64>> {
    let url = context.api(&["snapshots", context.org(), environment, reference], &[]);
    match context.get(url) {
        Ok(body) => Ok(parse(&body)?
            .get("index")
            .and_then(serde_json::Value::as_i64)),
        Err(error) if error.status() == Some(404) => {
            // An unknown environment must still be told apart from one without snapshots then.
            let url = context.api(&["environments", context.org(), environment], &[]);
            context.get(url)?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
