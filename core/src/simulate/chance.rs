//! Chance that is the same everywhere: counted draws, and a logarithm that no platform's library rounds differently.

use crate::retry::{draw, mix};

/// A sequence of draws; the same for the same seed, whatever the machine.
pub(super) struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// `stream` keeps sequences of one seed apart.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Chance { seed: mix(stream, seed), drawn: 0 }
    }

    /// Uniform in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        self.drawn += 1;
        draw(self.seed, self.drawn)
    }

    /// Below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        // Truncation cannot reach `end`: the draw is below 1.
        (self.uniform() * f64::from(end)) as u32
    }

    /// Exponential with this mean, in nanoseconds.
    pub(super) fn exponential(&mut self, mean: f64) -> u64 {
        nanos(-mean * libm::log(1.0 - self.uniform()))
    }

    /// Normal by Box and Muller (1958), and its absolute value, in nanoseconds.
    pub(super) fn normal(&mut self, mean: f64, deviation: f64) -> u64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let angle = 2.0 * std::f64::consts::PI * self.uniform();
        nanos((mean + deviation * radius * libm::cos(angle)).abs())
    }
}

/// Saturates.
pub(super) fn nanos(nanos: f64) -> u64 {
    nanos as u64
}
