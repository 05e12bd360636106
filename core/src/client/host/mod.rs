//! Who made the call: its callbacks, the queue of hosts that do not run on tokio, and the lanes of blocking calls.

pub(super) mod answers;
pub(super) mod callbacks;
pub(super) mod channel;
pub(super) mod lanes;
pub mod queue;
