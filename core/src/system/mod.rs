//! What those who wait and draw need of the system: its clocks, and its randomness. Knows nothing of HTTP.

pub mod clock;
pub mod entropy;
