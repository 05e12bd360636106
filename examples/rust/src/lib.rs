//! Programs of others with retries in them: each file is one, and `tests/run.rs` runs them against the scripted server.

pub mod grpc;
pub mod middleware;
pub mod proxy;
pub mod stack;
