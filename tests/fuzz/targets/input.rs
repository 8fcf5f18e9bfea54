//! Bytes as choices.

/// What is left of a case's bytes. Past the end every byte is zero.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.byte())
    }

    /// Takes up to `most` bytes, of which a byte says how many.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let asked = usize::from(self.byte()).min(most);
        let (taken, rest) = self.0.split_at(asked.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Draws a place in a list; 0 in an empty one.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        let drawn = usize::from(u16::from_le_bytes(self.array()));
        if len <= 256 { (drawn & 255) % len.max(1) } else { drawn % len }
    }

    /// Draws a number, of which small ones and those about powers of two are likely.
    pub(crate) fn number(&mut self) -> u64 {
        let kind = self.byte();
        match kind % 4 {
            0 => u64::from(self.byte()),
            1 => u64::from(u16::from_le_bytes(self.array())),
            2 => (1_u64 << (self.byte() % 64)).wrapping_add(u64::from(kind / 4 % 3)).wrapping_sub(1),
            _ => u64::from_le_bytes(self.array()),
        }
    }

    /// Draws yes or no.
    pub(crate) fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Draws one of a list.
    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.place(items.len())]
    }
}
