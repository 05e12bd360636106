//! HTTP/2 on h2 directly: a task per connection, which a call relieves that has a lane's to itself, a gate of places for streams, one exchange per place.

mod body;
mod connection;
mod driver;
mod exchange;
mod failure;
mod frames;
mod gate;
mod gates;
mod head;
mod sending;
mod wire;

pub(super) use self::body::Http2Body;
pub(super) use self::connection::{Connection, Leave};
pub(super) use self::exchange::Exchange;
pub(super) use self::gate::{Found, Gate, Opened, Place};
pub(super) use self::gates::{Counted, Gates};
pub(super) use self::head::{request, trim};

#[cfg(test)]
mod tests;
