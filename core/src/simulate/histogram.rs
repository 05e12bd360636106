//! Counts of durations in classes of less than one percent, so that millions cost nothing and quantiles are the same everywhere.

/// Classes per power of two.
const FINE: u64 = 128;

#[derive(Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

impl Histogram {
    pub(super) fn count(&mut self, nanos: u64) {
        let class = class(nanos);
        if self.counts.len() <= class {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += 1;
        self.total += 1;
        self.most = self.most.max(nanos);
    }

    pub(super) fn add(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.most = self.most.max(other.most);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// The value, in nanoseconds, that so many of a thousand are not above.
    pub(super) fn quantile(&self, of_thousand: u64) -> u64 {
        let wanted = (self.total * of_thousand).div_ceil(1000).max(1);
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest(class).min(self.most);
            }
        }
        self.most
    }
}

fn class(nanos: u64) -> usize {
    let shift = (64 - nanos.leading_zeros()).saturating_sub(FINE.ilog2() + 1);
    (u64::from(shift) * FINE + (nanos >> shift)) as usize
}

/// The largest value of a class.
fn highest(class: usize) -> u64 {
    let class = class as u64;
    let shift = (class / FINE).saturating_sub(1);
    let top = class - shift * FINE;
    ((top + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::{Histogram, class, highest};

    #[test]
    fn classes_are_narrow_and_without_gaps() {
        for nanos in (0..70_000).chain([1 << 40, (1 << 40) + 12_345, u64::MAX >> 1]) {
            let top = highest(class(nanos));
            assert!(top >= nanos && top - nanos <= nanos / 128, "{nanos} {top}");
            assert_eq!(class(top), class(nanos));
            assert_eq!(class(top + 1), class(nanos) + 1);
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.count(value));
        assert_eq!((histogram.quantile(500), histogram.quantile(990), histogram.most()), (501, 991, 1000));
        assert_eq!(Histogram::default().quantile(500), 0);
    }
}
