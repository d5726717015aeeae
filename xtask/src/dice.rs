//! Numbers that look random and are the same in every run.

pub(crate) struct Dice(u64);

impl Dice {
    /// Of the record with this number in this series.
    pub(crate) fn of(series: u64, record: usize) -> Self {
        Dice(series.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (record as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }

    /// One of these; empty if there are none.
    pub(crate) fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }
}
