//! Uniform draws without a generator's state: a hash of (seed, position).

/// Mixes two numbers into one; used to derive the seed of a call from (seed, serial).
pub const fn mix(a: u64, b: u64) -> u64 {
    finish(a ^ finish(b.wrapping_add(0x9E37_79B9_7F4A_7C15)))
}

/// The draw at `position` of the sequence that `seed` stands for, uniform in [0, 1) with 53 bits.
///
/// Counter-based (SplitMix64, Steele et al. 2014), so that a draw does not depend on which others were made.
pub const fn draw(seed: u64, position: u64) -> f64 {
    (mix(seed, position) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The output function of SplitMix64.
const fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
