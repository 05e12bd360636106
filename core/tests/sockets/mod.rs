//! Calls through the public client against the scripted server: what the caller gets, what the server saw, and that both agree.

mod bodies;
mod cancel;
mod connections;
mod harness;
mod invalid;
mod outcomes;
mod posts;
mod requests;
mod transfers;
