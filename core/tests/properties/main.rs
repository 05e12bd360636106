//! What holds for every policy, every outcome and every interleaving: properties over random cases.
//!
//! A failing case is printed at its smallest; it becomes a vector or a plain test before it is fixed. `PROPTEST_CASES` asks for more.
#![allow(clippy::unwrap_used)]

mod budgets;
mod calls;
mod concurrency;
mod documents;
mod driver;
mod hints;
mod machine;
mod strategies;
#[path = "../support/mod.rs"]
mod support;
mod waits;
