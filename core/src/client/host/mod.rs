//! Who made the call: its callbacks, the queue of hosts that do not run on tokio, and the lanes of blocking calls.

pub(super) mod answers;
pub(super) mod blocking;
pub(super) mod callback;
pub(super) mod lane;
pub mod queue;
