//! A judge in another language: `tests-compat/judge-go`, on golang.org/x/mod/sumdb.
