//! What a flag is, and the flags that many commands share.

use crate::evidence::ci::Fact;

/// What a flag's value means and how it is read (`cli.md` conventions: s, i, f, b, S, A, M).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One text.
    Text,
    /// A signed 64-bit number.
    Int,
    /// A double.
    Float,
    /// `true` when given without a value.
    Bool,
    /// A list: each value is one CSV record, further values are appended.
    List,
    /// A list whose values are never split.
    Repeated,
    /// `key=value` pairs.
    Map,
}

/// One flag of a command or of a group of commands.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Long name without dashes.
    pub name: &'static str,
    /// Shorthand.
    pub short: Option<char>,
    /// A second long name.
    pub alias: Option<&'static str>,
    /// How the value is read.
    pub kind: Kind,
    /// Value when nothing sets it; empty: none.
    pub default: &'static str,
    /// Whether the command refuses to run without it.
    pub required: bool,
    /// Not shown in help and completion.
    pub hidden: bool,
    /// What is said when the flag is given on the command line.
    pub deprecated: Option<&'static str>,
    /// The flag whose value this one really sets (`--e` for `--exclude`).
    pub same_as: Option<&'static str>,
    /// What of a CI job's environment is its default.
    pub ci: Option<Fact>,
    /// One line of help.
    pub help: &'static str,
}

impl Flag {
    /// A flag of the given kind without shorthand and default.
    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            short: None,
            alias: None,
            kind,
            default: "",
            required: false,
            hidden: false,
            deprecated: None,
            same_as: None,
            ci: None,
            help,
        }
    }

    /// A text flag.
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, help)
    }

    /// A boolean flag.
    pub const fn bool(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, help)
    }

    /// A list flag, split on commas.
    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, help)
    }

    /// Gives the shorthand.
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// Gives the default.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// Makes the flag required.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Marks the flag as deprecated.
    pub const fn deprecated(mut self, text: &'static str) -> Self {
        self.deprecated = Some(text);
        self
    }

    /// Hides the flag.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Gives a second long name.
    pub const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Makes the flag set the value of another one.
    pub const fn same_as(mut self, name: &'static str) -> Self {
        self.same_as = Some(name);
        self
    }

    /// Gives a default that the CI system knows. A required flag that has one is not missed.
    pub const fn ci(mut self, fact: Fact) -> Self {
        self.ci = Some(fact);
        self
    }

    /// `-s, --set` or `--set`, as complaints about a value name it.
    pub fn spelled(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Whether the flag is complete without a value.
    pub fn is_bool(&self) -> bool {
        self.kind == Kind::Bool
    }
}

/// The flags of every command (`cli.md` 1.2).
pub const GLOBAL: &[Flag] = &[
    Flag::text("api-token", "The API token.").short('a'),
    Flag::text("config-file", "[optional] The config file.").short('c'),
    Flag::bool("debug", "[optional] Print debug lines to stderr."),
    Flag::text("host", "[defaulted] The URL of the server.")
        .short('H')
        .default(crate::context::DEFAULT_HOST),
    Flag::text(
        "http-proxy",
        "[optional] The URL of the proxy for calls to the server, with protocol and port.",
    ),
    Flag::new(
        "max-api-retries",
        Kind::Int,
        "[defaulted] How often a call is tried again when the server cannot be reached or is busy.",
    )
    .short('r')
    .default("3"),
    Flag::text("org", "The organization."),
    Flag::bool(
        "quiet",
        "[optional] Leave out warnings. Ignored when --debug is set.",
    )
    .short('q'),
];

/// `-D, --dry-run`, of every command that writes.
pub const DRY_RUN: &[Flag] = &[Flag::bool(
    "dry-run",
    "[optional] Print what would be sent instead of sending it.",
)
.short('D')];

/// `-o, --output` (group G-OUT).
pub const OUTPUT: &[Flag] = &[Flag::text(
    "output",
    "[defaulted] The format of the output: table or json.",
)
.short('o')
.default("table")];

/// `--page` and `--page-limit` (group G-PAGE).
pub const PAGE: &[Flag] = &[
    Flag::new("page", Kind::Int, "[defaulted] The page number.").default("1"),
    Flag::new(
        "page-limit",
        Kind::Int,
        "[defaulted] The number of items per page.",
    )
    .short('n')
    .default("15"),
];

/// The same with more items on a page.
pub const PAGE_20: &[Flag] = &[
    Flag::new("page", Kind::Int, "[defaulted] The page number.").default("1"),
    Flag::new(
        "page-limit",
        Kind::Int,
        "[defaulted] The number of items per page.",
    )
    .short('n')
    .default("20"),
];

/// `-t, --artifact-type`.
pub const ARTIFACT_TYPE: Flag = Flag::text(
    "artifact-type",
    "The type of the artifact: file, dir, oci or docker.",
)
.short('t');
/// `--registry-username`.
pub const REGISTRY_USERNAME: Flag = Flag::text(
    "registry-username",
    "[conditional] The user name at the registry.",
);
/// `--registry-password`.
pub const REGISTRY_PASSWORD: Flag = Flag::text(
    "registry-password",
    "[conditional] The password or token at the registry.",
);
/// `-x, --exclude`.
pub const EXCLUDE: Flag = Flag::list(
    "exclude",
    "[optional] Paths and globs, relative to the directory, that do not count. Only for type dir.",
)
.short('x');
/// `--registry-provider`, without effect.
pub const REGISTRY_PROVIDER: Flag =
    Flag::text("registry-provider", "[deprecated] No longer used.").deprecated("no longer used");
/// `-e, --e`, an older spelling of `--exclude`.
pub const E: Flag = Flag::list("e", "[deprecated] Use --exclude.")
    .short('e')
    .deprecated("use -x instead")
    .same_as("exclude");

/// What is said about the two scaling flags.
pub const SCALING_DEPRECATED: &str = "this flag is deprecated and will be removed in a future version. Scaling events do not trigger new snapshots.";

/// `--include-scaling`. Runstone honours it (decision D9), so only the compatible name speaks of
/// its deprecation.
pub const INCLUDE_SCALING: Flag = Flag::bool(
    "include-scaling",
    "[optional] Make a snapshot when only the number of instances changes.",
)
.deprecated(SCALING_DEPRECATED);
/// `--exclude-scaling`.
pub const EXCLUDE_SCALING: Flag = Flag::bool(
    "exclude-scaling",
    "[optional] Make no snapshot when only the number of instances changes.",
)
.deprecated(SCALING_DEPRECATED);

/// The flags of all snapshot commands (group G-AUTO, `cli.md` 7).
pub const AUTO: &[Flag] = &[
    Flag::bool(
        "auto-environment",
        "[optional] Create the environment first if it does not exist.",
    )
    .short('A')
    .alias("auto-env"),
    Flag::text(
        "environment-description",
        "[optional] The description of an environment that is created.",
    ),
    INCLUDE_SCALING,
    EXCLUDE_SCALING,
];

/// The time zone of dates and words in arguments; only ours.
pub const TZ: Flag = Flag::text(
    "tz",
    "[optional] The time zone of dates and words in arguments, such as Europe/Berlin. Default: the local one.",
);
/// `--since`; only ours.
pub const SINCE: Flag = Flag::text(
    "since",
    "[optional] Only what happened since this time: a date (its first instant), a time, or words such as 'last thursday' or '3 days ago'.",
);
/// `--until`; only ours.
pub const UNTIL: Flag = Flag::text(
    "until",
    "[optional] Only what happened before this time: a date (its first instant), a time, or words.",
);
