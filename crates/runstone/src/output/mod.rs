//! How answers are shown: tables, re-indented JSON, times and their relative words
//! (`cli.md` 1.14). Pure functions of values and a given now; nothing here prints.

pub mod json;
pub mod table;
pub mod time;
pub mod value;
