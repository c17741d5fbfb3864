//! Rules and summaries written in jq: compiled once, run within bounds.
//!
//! What a rule sees is its input and the time at which the attestation was received; nothing of
//! the machine. Functions that call themselves are refused, so that what a rule builds up is
//! bounded by its length; the recursion that jq itself offers (`recurse`, `..`, `until`, `range`)
//! is there and is counted.

use jaq_core::compile::Undefined;
use jaq_core::data::{DataT, HasLut};
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::{Filter as Named, Fun, bome, run, unary, v};
use jaq_core::path::Part;
use jaq_core::{Compiler, Ctx, Lut, RunPtr, Vars};

use super::meter::{charge, step};
use super::value::{Metered, natives};

/// Most bytes of one rule.
pub(super) const RULE_BYTES_MAX: usize = 4_096;

/// What jq filters work on here.
pub(super) enum Rules {}

impl DataT for Rules {
    type V<'a> = Metered;
    type Data<'a> = Data<'a>;
}

/// What every filter can reach.
#[derive(Clone)]
pub(super) struct Data<'a> {
    lut: &'a Lut<Rules>,
    /// Seconds since 1970 at which the attestation was received.
    received_at: f64,
}

impl<'a> HasLut<'a, Rules> for Data<'a> {
    /// Called for every term that is evaluated.
    fn lut(&self) -> &'a Lut<Rules> {
        step();
        self.lut
    }
}

/// A rule that can be run.
pub(super) struct Rule(jaq_core::Filter<Rules>);

/// Functions of the library that reach beyond the input, or loop inside a single step.
const LEFT_OUT: &[&str] = &[
    "env",
    "now",
    "halt",
    "localtime",
    "strflocaltime",
    "debug_empty",
    "stderr_empty",
    "jn",
    "yn",
];

/// Functions of the library that are only reached through a definition that charges them.
const REGEX: &[(&str, &str)] = &[
    ("matches", "runstone_matches"),
    ("split_matches", "runstone_split_matches"),
    ("split_", "runstone_split_"),
];

const PRELUDE: &str = "
def matches(re; flags): runstone_regex(re; flags) | runstone_matches(re; flags);
def split_matches(re; flags): runstone_regex(re; flags) | runstone_split_matches(re; flags);
def split_(re; flags): runstone_regex(re; flags) | runstone_split_(re; flags);
def totype(p; e): if p then . else fromjson | if p then . else e end end;
def tonumber : totype(isnumber ; error(\"cannot parse as number\" ));
def toboolean: totype(isboolean; error(\"cannot parse as boolean\"));
def transpose: [range([.[] | length] | max) as $i | [.[][$i]]];
def in(xs)    : . as $x | xs | has     ($x);
def inside(xs): . as $x | xs | contains($x);
def  index($i): indices($i)[ 0];
def rindex($i): indices($i)[-1];
def ascii: [.] | implode;
def IN(s): any(s == .; .);
def IN(source; s): any(source == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def leaf_paths: paths(scalars);
def toarray: if isarray then . else [.] end;
def @json: tojson;
";

fn own() -> Vec<Named<RunPtr<Rules>>> {
    vec![
        ("now", v(0), |cv| bome(Ok(cv.0.data().received_at.into()))),
        ("env", v(0), |_| {
            bome(<Metered as jaq_core::ValT>::from_map([]))
        }),
        ("halt", v(1), |_| {
            bome(Err(jaq_core::Error::str("cannot halt")))
        }),
        ("debug_empty", v(0), |_| Box::new(std::iter::empty())),
        ("stderr_empty", v(0), |_| Box::new(std::iter::empty())),
        ("runstone_regex", v(2), |mut cv| {
            let flags = cv.0.pop_var();
            unary(cv, move |text, pattern| {
                charge_regex(&text, &pattern, &flags);
                Ok(text)
            })
        }),
        ("length", v(0), |cv| bome(natives::length(cv.1))),
        ("has", v(1), |cv| {
            unary(cv, |value, key| natives::has(value, &key))
        }),
        ("contains", v(1), |cv| {
            unary(cv, |whole, part| {
                Ok(natives::contains(&whole.val, &part.val).into())
            })
        }),
        ("indices", v(1), |cv| {
            unary(cv, |value, part| natives::indices(value, &part))
        }),
        ("fromjson", v(0), |cv| bome(natives::fromjson(cv.1))),
        ("tojson", v(0), |cv| bome(Ok(natives::tojson(cv.1)))),
    ]
}

/// What matching costs at most: the text times the pattern, whose counted repetitions unfold; for
/// all matches that again for each, since each may look at the whole rest.
fn charge_regex(text: &Metered, pattern: &Metered, flags: &Metered) {
    use jaq_std::ValT as _;
    let (Some(text), Some(pattern)) = (text.as_bytes(), pattern.as_bytes()) else {
        return;
    };
    let mut weight = pattern.len().saturating_add(8);
    for counts in pattern.split(|byte| *byte == b'{').skip(1) {
        let counts = counts.split(|byte| *byte == b'}').next().unwrap_or(counts);
        let most = counts
            .split(|byte| *byte == b',')
            .filter_map(|count| {
                std::str::from_utf8(count)
                    .ok()?
                    .trim()
                    .parse::<usize>()
                    .ok()
            })
            .max();
        weight = weight.saturating_mul(most.unwrap_or(1).max(1));
    }
    let once = text.len().saturating_add(16).saturating_mul(weight) / 8;
    let all = flags.as_bytes().is_some_and(|flags| flags.contains(&b'g'));
    charge(if all {
        once.saturating_mul(text.len() / 8 + 1)
    } else {
        once
    });
}

fn library() -> impl Iterator<Item = Fun<Rules>> {
    jaq_core::funs::<Rules>()
        .chain(jaq_std::funs::<Rules>())
        .filter(|(name, ..)| !LEFT_OUT.contains(name))
        .map(|(name, arguments, function)| {
            let renamed = REGEX.iter().find(|(known, _)| *known == name);
            (renamed.map_or(name, |(_, new)| new), arguments, function)
        })
        .chain(own().into_iter().map(|function| run::<Rules>(function)))
}

impl Rule {
    /// Compiles `text`, or says what is wrong with it. To be called within the meter: the parser
    /// of the library follows the nesting of the text with its own stack.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > RULE_BYTES_MAX {
            return Err(format!("Rule should have at most {RULE_BYTES_MAX} bytes"));
        }
        let prelude = load::parse(PRELUDE, |parser| parser.defs()).unwrap_or_default();
        // Ours stand first, so that definitions of the library that use them find them.
        let prelude = jaq_core::defs()
            .chain(prelude_order(prelude))
            .collect::<Vec<_>>();
        let arena = Arena::default();
        let modules = Loader::new(prelude)
            .load(
                &arena,
                File {
                    code: text,
                    path: (),
                },
            )
            .map_err(|errors| format!("Invalid jq: {}", load_problem(&errors)))?;
        match load::parse(text, |parser| parser.term()) {
            Some(term) => check(&term, &mut Vec::new())?,
            None => return Err("Invalid jq: modules cannot be used".to_owned()),
        }
        let filter = Compiler::<&str, Rules>::default()
            .with_funs(library())
            .compile(modules)
            .map_err(|errors| {
                let problem = errors.iter().flat_map(|(_, undefined)| undefined).next();
                match problem {
                    Some((name, Undefined::Filter(arity))) => {
                        format!("Invalid jq: there is no filter '{name}/{arity}'")
                    }
                    Some((name, what)) => {
                        format!("Invalid jq: there is no {} '{name}'", what.as_str())
                    }
                    None => "Invalid jq".to_owned(),
                }
            })?;
        Ok(Self(filter))
    }

    /// The first output for `input`; an error as its text.
    pub(super) fn first(
        &self,
        input: &Metered,
        received_at: f64,
    ) -> Option<Result<Metered, String>> {
        self.outputs(input, received_at).next()
    }

    /// Whether the rule yields exactly `true`, and nothing else.
    pub(super) fn holds(&self, input: &Metered, received_at: f64) -> Result<bool, String> {
        let mut outputs = self.outputs(input, received_at);
        let first = outputs.next().transpose()?;
        let is_true = first.is_some_and(|first| matches!(first.val, jaq_json::Val::Bool(true)));
        Ok(is_true && outputs.next().is_none())
    }

    fn outputs<'r>(
        &'r self,
        input: &Metered,
        received_at: f64,
    ) -> impl Iterator<Item = Result<Metered, String>> + 'r {
        let data = Data {
            lut: &self.0.lut,
            received_at,
        };
        let ctx = Ctx::<Rules>::new(data, Vars::new([]));
        self.0.id.run((ctx, input.clone())).map(|output| {
            output.map_err(|exception| match exception.get_err() {
                Ok(error) => error.to_string().chars().take(300).collect(),
                Err(_) => "the rule broke off".to_owned(),
            })
        })
    }
}

/// The definitions of the library with ours before the first that needs them.
fn prelude_order(ours: Vec<Def<&'static str>>) -> impl Iterator<Item = Def<&'static str>> {
    let (regex, rest): (Vec<_>, Vec<_>) = ours
        .into_iter()
        .partition(|def| REGEX.iter().any(|(name, _)| *name == def.name));
    regex.into_iter().chain(jaq_std::defs()).chain(rest)
}

fn load_problem(errors: &load::Errors<&str, ()>) -> String {
    let near = |found: &str| -> String { found.chars().take(40).collect() };
    match errors.first().map(|(_, error)| error) {
        Some(load::Error::Lex(problems)) => problems.first().map(|(expected, found)| {
            format!("expected {} at '{}'", expected.as_str(), near(found))
        }),
        Some(load::Error::Parse(problems)) => problems.first().map(|(expected, found)| {
            format!("expected {} at '{}'", expected.as_str(), near(found))
        }),
        Some(load::Error::Io(_)) => Some("modules cannot be used".to_owned()),
        None => None,
    }
    .unwrap_or_else(|| "it cannot be read".to_owned())
}

/// Refuses definitions that call themselves, and the names that only our own definitions may use.
/// `inside` are the names of the definitions around the term.
fn check<'t>(term: &'t Term<&'t str>, inside: &mut Vec<&'t str>) -> Result<(), String> {
    step();
    match term {
        Term::Id
        | Term::Recurse
        | Term::Num(_)
        | Term::Break(_)
        | Term::Var(_)
        | Term::Arr(None) => Ok(()),
        Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
            StrPart::Term(term) => check(term, inside),
            StrPart::Str(_) | StrPart::Char(_) => Ok(()),
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => check(term, inside),
        Term::Obj(members) => members.iter().try_for_each(|(name, value)| {
            check(name, inside)?;
            value.as_ref().map_or(Ok(()), |value| check(value, inside))
        }),
        Term::BinOp(left, operation, right) => {
            check(left, inside)?;
            if let BinaryOp::Pipe(Some(pattern)) = operation {
                check_pattern(pattern, inside)?;
            }
            check(right, inside)
        }
        Term::Fold(_, items, pattern, terms) => {
            check(items, inside)?;
            check_pattern(pattern, inside)?;
            check_all(terms, inside)
        }
        Term::TryCatch(term, catch) => {
            check(term, inside)?;
            check_all(catch.as_deref(), inside)
        }
        Term::IfThenElse(cases, otherwise) => {
            for (condition, then) in cases {
                check(condition, inside)?;
                check(then, inside)?;
            }
            check_all(otherwise.as_deref(), inside)
        }
        Term::Def(defs, term) => {
            for def in defs {
                inside.push(def.name);
                let checked = check(&def.body, inside);
                inside.pop();
                checked?;
            }
            check(term, inside)
        }
        Term::Call(name, arguments) => {
            if inside.contains(name) {
                return Err(format!(
                    "Invalid jq: '{name}' calls itself; use recurse, until, while or repeat"
                ));
            }
            if name.starts_with("runstone_") {
                return Err(format!("Invalid jq: there is no filter '{name}'"));
            }
            check_all(arguments, inside)
        }
        Term::Path(term, path) => {
            check(term, inside)?;
            path.0.iter().try_for_each(|(part, _)| match part {
                Part::Index(index) => check(index, inside),
                Part::Range(start, end) => check_all(start.iter().chain(end), inside),
            })
        }
    }
}

fn check_all<'t>(
    terms: impl IntoIterator<Item = &'t Term<&'t str>>,
    inside: &mut Vec<&'t str>,
) -> Result<(), String> {
    terms.into_iter().try_for_each(|term| check(term, inside))
}

fn check_pattern<'t>(
    pattern: &'t Pattern<&'t str>,
    inside: &mut Vec<&'t str>,
) -> Result<(), String> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(patterns) => patterns
            .iter()
            .try_for_each(|pattern| check_pattern(pattern, inside)),
        Pattern::Obj(members) => members.iter().try_for_each(|(name, pattern)| {
            check(name, inside)?;
            check_pattern(pattern, inside)
        }),
    }
}
