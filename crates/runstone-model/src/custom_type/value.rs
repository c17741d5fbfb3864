//! The values that jq rules work on: those of the library, with every operation charged and the
//! nesting known.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValT, ValX};
use jaq_json::{Map, Num, Rc, Val};

use super::meter::{DEPTH_MAX, Stop, charge, stop};

/// Most bits of an integer: products grow without bound otherwise.
const BITS_MAX: u64 = 4_096;

/// A value and an upper bound of how deep it nests.
#[derive(Clone)]
pub(super) struct Metered {
    pub(super) val: Val,
    depth: u32,
}

impl Metered {
    fn new(val: Val, depth: u32) -> Self {
        if depth > DEPTH_MAX {
            stop(Stop::Depth);
        }
        if let Val::Num(Num::BigInt(number)) = &val
            && number.bits() > BITS_MAX
        {
            stop(Stop::Steps);
        }
        Self { val, depth }
    }

    fn scalar(val: Val) -> Self {
        Self::new(val, 0)
    }

    /// A part of this value.
    fn child(&self, val: Val) -> Self {
        Self::new(val, self.depth.saturating_sub(1))
    }

    /// The value of JSON; texts of numbers are read as numbers.
    pub(super) fn from_json(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        charge(1);
        match value {
            Value::Null => Self::scalar(Val::Null),
            Value::Bool(value) => Self::scalar(Val::Bool(*value)),
            Value::Number(number) => Self::scalar(Val::Num(match number.as_i64() {
                Some(number) => Num::from_integral(number),
                None => match number.as_u64() {
                    Some(number) => Num::from_integral(number),
                    None => Num::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
            })),
            Value::String(text) => text.clone().into(),
            Value::Array(items) => items.iter().map(Self::from_json).collect(),
            Value::Object(members) => {
                let members = members.iter();
                object(members.map(|(name, value)| (name.clone().into(), Self::from_json(value))))
            }
        }
    }

    /// As JSON; what JSON cannot say is null.
    pub(super) fn to_json(&self) -> serde_json::Value {
        to_json(&self.val)
    }

    /// What going through the value costs, charged.
    fn walk(&self) {
        walk(&self.val);
    }

    /// What changing the value in place costs: nothing if it is held once, else a copy.
    fn own(&self) {
        charge(match &self.val {
            Val::Arr(items) if Rc::strong_count(items) > 1 => items.len(),
            Val::Obj(members) if Rc::strong_count(members) > 1 => 4 * members.len(),
            _ => 1,
        });
    }

    fn len(&self) -> usize {
        match &self.val {
            Val::TStr(text) | Val::BStr(text) => text.len() / 16 + 1,
            Val::Arr(items) => items.len(),
            Val::Obj(members) => 4 * members.len(),
            _ => 1,
        }
    }

    /// As in other implementations of jq, null becomes what the index asks for, and a list grows.
    fn make_room(&mut self, index: &Val) {
        use jaq_std::ValT as _;
        let position = index.as_isize().and_then(|at| usize::try_from(at).ok());
        match (&mut self.val, index, position) {
            (Val::Null, Val::TStr(_), _) => *self = object([]),
            (Val::Null, Val::Num(_), Some(at)) => {
                charge(at.saturating_add(1));
                *self = Self::new(Val::Arr(Rc::new(vec![Val::Null; at + 1])), 1);
            }
            (Val::Arr(items), Val::Num(_), Some(at)) if at >= items.len() => {
                charge(at.saturating_add(1));
                Rc::make_mut(items).resize(at + 1, Val::Null);
            }
            _ => {}
        }
    }

    fn binary(self, other: Self, operation: fn(Val, Val) -> ValR<Val>) -> ValR<Self> {
        let depth = self.depth.max(other.depth);
        operation(self.val, other.val)
            .map(|val| Self::new(val, depth))
            .map_err(|error| lift(error, depth))
    }
}

/// An error of the library as one of ours.
fn lift(error: Error<Val>, depth: u32) -> Error<Metered> {
    let val = error.into_val();
    charge(1);
    Error::new(Metered::new(val, depth))
}

fn walk(val: &Val) {
    match val {
        Val::TStr(text) | Val::BStr(text) => charge(text.len() / 16 + 1),
        Val::Arr(items) => {
            charge(1);
            items.iter().for_each(walk);
        }
        Val::Obj(members) => {
            charge(1);
            for (name, value) in members.iter() {
                walk(name);
                walk(value);
            }
        }
        _ => charge(1),
    }
}

fn to_json(val: &Val) -> serde_json::Value {
    use serde_json::Value;
    charge(1);
    match val {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(Num::Int(number)) => Value::from(*number as i64),
        Val::Num(number) => serde_json::from_str(&number.to_string()).unwrap_or(Value::Null),
        Val::TStr(text) | Val::BStr(text) => {
            charge(text.len() / 16);
            Value::String(String::from_utf8_lossy(text).into_owned())
        }
        Val::Arr(items) => items.iter().map(to_json).collect(),
        Val::Obj(members) => members
            .iter()
            .map(|(name, value)| {
                let name = match name {
                    Val::TStr(text) | Val::BStr(text) => String::from_utf8_lossy(text).into_owned(),
                    other => other.to_string(),
                };
                (name, to_json(value))
            })
            .collect(),
    }
}

fn object(members: impl IntoIterator<Item = (Metered, Metered)>) -> Metered {
    let mut depth = 0;
    let mut map = Map::default();
    charge(8);
    for (name, value) in members {
        name.walk();
        charge(8);
        depth = depth.max(value.depth).max(name.depth);
        map.insert(name.val, value.val);
    }
    Metered::new(Val::obj(map), depth + 1)
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.walk();
        self.val.fmt(f)
    }
}

impl From<bool> for Metered {
    fn from(value: bool) -> Self {
        Self::scalar(Val::from(value))
    }
}

impl From<isize> for Metered {
    fn from(value: isize) -> Self {
        Self::scalar(Val::from(value))
    }
}

impl From<usize> for Metered {
    fn from(value: usize) -> Self {
        Self::scalar(Val::from(value))
    }
}

impl From<f64> for Metered {
    fn from(value: f64) -> Self {
        Self::scalar(Val::from(value))
    }
}

impl From<String> for Metered {
    fn from(value: String) -> Self {
        charge(value.len() / 16 + 1);
        Self::scalar(Val::from(value))
    }
}

impl From<Range<Self>> for Metered {
    fn from(range: Range<Self>) -> Self {
        let members = [("start", range.start), ("end", range.end)];
        let members = members.into_iter();
        object(members.filter_map(|(name, value)| Some((name.to_owned().into(), value?))))
    }
}

impl FromIterator<Self> for Metered {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        let mut depth = 0;
        let mut list = Vec::new();
        charge(4);
        for item in items {
            charge(1);
            depth = depth.max(item.depth);
            list.push(item.val);
        }
        Self::new(Val::Arr(Rc::new(list)), depth + 1)
    }
}

impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        charge(1);
        match (&self.val, &other.val) {
            (Val::Arr(one), Val::Arr(two)) if one.len() != two.len() => false,
            (Val::Obj(one), Val::Obj(two)) if one.len() != two.len() => false,
            (Val::Arr(_), Val::Arr(_)) | (Val::Obj(_), Val::Obj(_)) => {
                self.walk();
                other.walk();
                self.val == other.val
            }
            _ => {
                charge(self.len().min(other.len()) / 16);
                self.val == other.val
            }
        }
    }
}

impl Eq for Metered {}

impl PartialOrd for Metered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metered {
    fn cmp(&self, other: &Self) -> Ordering {
        charge(1);
        match (&self.val, &other.val) {
            (Val::Arr(_), Val::Arr(_)) | (Val::Obj(_), Val::Obj(_)) => {
                self.walk();
                other.walk();
            }
            _ => charge(self.len().min(other.len()) / 16),
        }
        self.val.cmp(&other.val)
    }
}

impl Add for Metered {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        match (&self.val, &other.val) {
            (Val::TStr(_) | Val::BStr(_), _) => charge(self.len()),
            (Val::Arr(_) | Val::Obj(_), Val::Arr(_) | Val::Obj(_)) => self.own(),
            _ => {}
        }
        charge(other.len());
        self.binary(other, Add::add)
    }
}

impl Sub for Metered {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        if let (Val::Arr(one), Val::Arr(two)) = (&self.val, &other.val) {
            // Each item is looked for in a tree of the others.
            let steps = usize::BITS - two.len().leading_zeros();
            charge(one.len() + two.len());
            for _ in 0..=steps {
                self.walk();
                other.walk();
            }
        }
        charge(1);
        self.binary(other, Sub::sub)
    }
}

impl Mul for Metered {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        match (&self.val, &other.val) {
            (Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let times = match times {
                    Num::Int(times) => usize::try_from(*times).unwrap_or(0),
                    _ => usize::MAX,
                };
                charge(text.len().max(1).saturating_mul(times) / 16 + 1);
            }
            (Val::Obj(_), Val::Obj(_)) => {
                self.walk();
                other.walk();
            }
            _ => {}
        }
        charge(1);
        self.binary(other, Mul::mul)
    }
}

impl Div for Metered {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        // Of texts: up to one part per byte.
        let parts = match (&self.val, &other.val) {
            (Val::TStr(text) | Val::BStr(text), Val::TStr(_) | Val::BStr(_)) => 4 * text.len(),
            _ => 0,
        };
        charge(parts + 1);
        let depth = u32::from(parts > 0);
        self.binary(other, Div::div)
            .map(|quotient| Self::new(quotient.val, quotient.depth.max(depth)))
    }
}

impl Rem for Metered {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        charge(1);
        self.binary(other, Rem::rem)
    }
}

impl Neg for Metered {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        charge(1);
        let depth = self.depth;
        (-self.val)
            .map(Self::scalar)
            .map_err(|error| lift(error, depth))
    }
}

type ValueIter = Box<dyn Iterator<Item = ValR<Metered>>>;

/// The position that an index means in a list of this length.
fn position(index: &Val, len: usize) -> Option<usize> {
    use jaq_std::ValT as _;
    let index = index.as_isize()?;
    let index = if index < 0 {
        len.checked_sub(index.unsigned_abs())?
    } else {
        index.unsigned_abs()
    };
    (index < len).then_some(index)
}

/// The positions that the bounds of a slice mean; none if they are no integers.
fn bounds(range: &Range<&Metered>, len: usize) -> Option<(usize, usize)> {
    use jaq_std::ValT as _;
    let bound = |value: Option<&Metered>, default: usize| match value.map(|value| &value.val) {
        None | Some(Val::Null) => Some(default),
        Some(value) => {
            let bound = value.as_isize()?;
            Some(if bound < 0 {
                len.saturating_sub(bound.unsigned_abs())
            } else {
                bound.unsigned_abs().min(len)
            })
        }
    };
    let (start, end) = (bound(range.start, 0)?, bound(range.end, len)?);
    Some((start, end.max(start)))
}

impl ValT for Metered {
    fn from_num(text: &str) -> ValR<Self> {
        charge(text.len());
        if text.len() > 1_000 {
            stop(Stop::Steps);
        }
        <Val as ValT>::from_num(text)
            .map(Self::scalar)
            .map_err(|error| lift(error, 0))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        Ok(object(members))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        charge(2 * self.len());
        let depth = self.depth;
        let child = move |val| Self::new(val, depth.saturating_sub(1));
        Box::new(self.val.key_values().map(move |pair| {
            pair.map(|(key, value)| (child(key), child(value)))
                .map_err(|error| lift(error, depth))
        }))
    }

    fn values(self) -> ValueIter {
        charge(self.len());
        let depth = self.depth;
        Box::new(self.val.values().map(move |value| {
            value
                .map(|value| Self::new(value, depth.saturating_sub(1)))
                .map_err(|error| lift(error, depth))
        }))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.val, &index.val) {
            // The positions of one list in another.
            (Val::Arr(one), Val::Arr(two)) => {
                charge(one.len().saturating_mul(two.len().max(1)));
                for _ in 0..=two.len().min(one.len()) {
                    self.walk();
                }
            }
            (Val::Arr(_) | Val::TStr(_) | Val::BStr(_), Val::Obj(_)) => charge(self.len()),
            _ => index.walk(),
        }
        let depth = self.depth;
        let keeps = matches!(index.val, Val::Obj(_) | Val::Arr(_));
        let below = if keeps {
            depth.max(1)
        } else {
            depth.saturating_sub(1)
        };
        self.val
            .index(&index.val)
            .map(|value| Self::new(value, below))
            .map_err(|error| lift(error, depth.max(index.depth)))
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        // Bounds of texts count characters.
        charge(16 * self.len());
        let depth = self.depth;
        self.val
            .range(range.start.map(|start| &start.val)..range.end.map(|end| &end.val))
            .map(|value| Self::new(value, depth))
            .map_err(|error| lift(error, depth))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        charge(self.len());
        match &self.val {
            Val::Arr(items) => {
                let mut list = Vec::new();
                let mut depth = 0;
                for item in items.iter() {
                    for value in f(self.child(item.clone())) {
                        let value = value?;
                        charge(1);
                        depth = depth.max(value.depth);
                        list.push(value.val);
                    }
                }
                Ok(Self::new(Val::Arr(Rc::new(list)), depth + 1))
            }
            Val::Obj(members) => {
                let mut pairs = Vec::with_capacity(members.len());
                for (name, value) in members.iter() {
                    if let Some(value) = f(self.child(value.clone())).next() {
                        pairs.push((self.child(name.clone()), value?));
                    }
                }
                Ok(object(pairs))
            }
            _ => opt.fail(self, |value| {
                Exn::from(Error::typ(value, "iterable (array or object)"))
            }),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        mut self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        if let (Val::Arr(_) | Val::TStr(_) | Val::BStr(_), Val::Obj(range)) =
            (&self.val, &index.val)
        {
            let bound = |name: &str| {
                let value = range.get(&Val::from(name.to_owned()))?;
                Some(index.child(value.clone()))
            };
            let (start, end) = (bound("start"), bound("end"));
            return self.map_range(start.as_ref()..end.as_ref(), opt, f);
        }
        index.walk();
        self.make_room(&index.val);
        self.own();
        let depth = self.depth.saturating_sub(1);
        match &mut self.val {
            Val::Obj(members) => {
                let members = Rc::make_mut(members);
                // Taken out while it changes, so that it is not held twice.
                let old = members.get_mut(&index.val).map(std::mem::take);
                let known = old.is_some();
                let old = Self::new(old.unwrap_or_default(), if known { depth } else { 0 });
                match f(old).next().transpose()? {
                    Some(new) => {
                        charge(8);
                        self.depth = self.depth.max(new.depth + 1).max(index.depth + 1);
                        members.insert(index.val.clone(), new.val);
                    }
                    None => {
                        charge(members.len());
                        members.shift_remove(&index.val);
                    }
                }
                Ok(Self::new(self.val, self.depth))
            }
            Val::Arr(items) => {
                let Some(at) = position(&index.val, items.len()) else {
                    return opt.fail(self, |_| Exn::from(Error::str("index out of bounds")));
                };
                let items = Rc::make_mut(items);
                let old = Self::new(std::mem::take(&mut items[at]), depth);
                match f(old).next().transpose()? {
                    Some(new) => {
                        self.depth = self.depth.max(new.depth + 1);
                        items[at] = new.val;
                    }
                    None => {
                        charge(items.len());
                        items.remove(at);
                    }
                }
                Ok(Self::new(self.val, self.depth))
            }
            _ => opt.fail(self, |value| {
                Exn::from(Error::typ(value, "iterable (array or object)"))
            }),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        charge(2 * self.len());
        let Val::Arr(items) = &self.val else {
            return opt.fail(self, |value| Exn::from(Error::typ(value, "array")));
        };
        let Some((start, end)) = bounds(&range, items.len()) else {
            return opt.fail(self, |_| Exn::from(Error::str("bounds are integers")));
        };
        let slice = Val::Arr(Rc::new(items[start..end].to_vec()));
        let new = f(Self::new(slice, self.depth)).next().transpose()?;
        let (between, depth) = match new {
            None => (Vec::new(), 0),
            Some(Self {
                val: Val::Arr(list),
                depth,
            }) => ((*list).clone(), depth),
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
        };
        charge(between.len());
        let parts = [&items[..start], &between, &items[end..]];
        Ok(Self::new(
            Val::Arr(Rc::new(parts.concat())),
            self.depth.max(depth),
        ))
    }

    fn as_bool(&self) -> bool {
        self.val.as_bool()
    }

    fn into_string(self) -> Self {
        self.walk();
        let text = Self::scalar(self.val.into_string());
        charge(text.len());
        text
    }
}

impl jaq_std::ValT for Metered {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        charge(self.len());
        match &self.val {
            Val::Arr(items) => Ok(items.iter().map(|item| self.child(item.clone())).collect()),
            _ => Err(self),
        }
    }

    fn is_int(&self) -> bool {
        self.val.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        self.val.as_isize()
    }

    fn as_f64(&self) -> Option<f64> {
        self.val.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.val.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        // Whoever asks goes through them.
        charge(self.len());
        self.val.as_bytes()
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        charge(1);
        Self::scalar(self.val.as_sub_str(part))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        charge(bytes.as_ref().len() / 16 + 1);
        Self::scalar(<Val as jaq_std::ValT>::from_utf8_bytes(bytes))
    }
}

/// Native functions over these values that the library has only for its own.
pub(super) mod natives {
    use jaq_core::{Error, ValR, ValT as _};
    use jaq_json::Val;
    use jaq_std::ValT as _;

    use super::super::meter::charge;
    use super::Metered;

    /// Null has none; numbers have their size, the others their count.
    pub(crate) fn length(value: Metered) -> ValR<Metered> {
        match &value.val {
            Val::Null => Ok(0_usize.into()),
            Val::Bool(_) => Err(Error::typ(value, "something with a length")),
            Val::Num(_) => match value.val.as_isize() {
                Some(number) => Ok(number.saturating_abs().into()),
                None => Ok(value.val.as_f64().unwrap_or(f64::NAN).abs().into()),
            },
            Val::TStr(text) => {
                charge(text.len() / 4);
                Ok(String::from_utf8_lossy(text).chars().count().into())
            }
            Val::BStr(bytes) => Ok(bytes.len().into()),
            Val::Arr(items) => Ok(items.len().into()),
            Val::Obj(members) => Ok(members.len().into()),
        }
    }

    pub(crate) fn has(value: Metered, key: &Metered) -> ValR<Metered> {
        charge(key.len());
        match (&value.val, &key.val) {
            (Val::Obj(members), key) => Ok(members.contains_key(key).into()),
            (Val::Arr(items), Val::Num(_)) => Ok(key
                .val
                .as_isize()
                .and_then(|index| usize::try_from(index).ok())
                .is_some_and(|index| index < items.len())
                .into()),
            _ => Err(Error::index(value, key.clone())),
        }
    }

    pub(crate) fn contains(whole: &Val, part: &Val) -> bool {
        charge(1);
        match (whole, part) {
            (Val::TStr(whole) | Val::BStr(whole), Val::TStr(part) | Val::BStr(part)) => {
                charge(whole.len() / 4);
                let (whole, part) = (
                    String::from_utf8_lossy(whole),
                    String::from_utf8_lossy(part),
                );
                whole.contains(&*part)
            }
            (Val::Arr(whole), Val::Arr(part)) => part
                .iter()
                .all(|part| whole.iter().any(|whole| contains(whole, part))),
            (Val::Obj(whole), Val::Obj(part)) => part.iter().all(|(name, part)| {
                super::walk(name);
                whole.get(name).is_some_and(|whole| contains(whole, part))
            }),
            _ => {
                super::walk(whole);
                super::walk(part);
                whole == part
            }
        }
    }

    pub(crate) fn indices(value: Metered, part: &Metered) -> ValR<Metered> {
        match (&value.val, &part.val) {
            (Val::TStr(text), Val::TStr(part)) if !part.is_empty() => {
                let (text, part) = (String::from_utf8_lossy(text), String::from_utf8_lossy(part));
                charge(text.len().saturating_mul(2));
                // Positions count characters, and matches may overlap.
                Ok(text
                    .char_indices()
                    .enumerate()
                    .filter(|(_, (byte, _))| {
                        charge(1 + part.len() / 16);
                        text[*byte..].starts_with(&*part)
                    })
                    .map(|(position, _)| Metered::from(position))
                    .collect())
            }
            (Val::TStr(_), Val::TStr(_)) => Ok(std::iter::empty().collect()),
            (Val::Arr(_), Val::Arr(_)) => value.index(part),
            (Val::Arr(items), _) => Ok(items
                .iter()
                .enumerate()
                .filter(|(_, item)| {
                    super::walk(item);
                    **item == part.val
                })
                .map(|(position, _)| Metered::from(position))
                .collect()),
            _ => Err(Error::index(value, part.clone())),
        }
    }

    /// One JSON text; within the bounds of the server's own reader.
    pub(crate) fn fromjson(value: Metered) -> ValR<Metered> {
        let Some(bytes) = value.as_utf8_bytes() else {
            return Err(Error::typ(value, "string"));
        };
        match serde_json::from_slice(bytes) {
            Ok(json) => Ok(Metered::from_json(&json)),
            Err(_) => Err(Error::str("not JSON")),
        }
    }

    pub(crate) fn tojson(value: Metered) -> Metered {
        value.walk();
        value.val.to_string().into()
    }
}
