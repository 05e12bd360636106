//! HTTP/2 on h2 directly: a task per connection, a gate of places for streams, one exchange per place.

mod body;
mod connection;
mod exchange;
mod failure;
mod gate;
mod head;
mod upload;
mod wire;

#[cfg(test)]
mod tests;
