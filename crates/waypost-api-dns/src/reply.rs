//! Writing an answer: records one after the other, with room kept for what comes last.

use crate::question::{CLASS_IN, rtype};

/// Highest offset that a compression pointer can name, and one more.
const POINTER_MAX: usize = 0x4000;
/// Bytes of a record between its owner and its data.
const FIXED_BYTES: usize = 10;

/// Where a name stands in the message, as a compression pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer(u16);

impl Pointer {
    /// Points to the name at `offset`; `None` when that is too far into the message.
    pub(crate) fn to(offset: usize) -> Option<Self> {
        let offset = u16::try_from(offset).ok()?;
        (usize::from(offset) < POINTER_MAX).then_some(Self(0xc000 | offset))
    }

    pub(crate) fn bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// There is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// An answer in the making.
pub(crate) struct Reply<'a> {
    out: &'a mut [u8],
    len: usize,
    limit: usize,
}

impl<'a> Reply<'a> {
    /// Begins with what is in the first `len` bytes; at most `limit` bytes may be written in all.
    pub(crate) fn new(out: &'a mut [u8], len: usize, limit: usize) -> Self {
        let limit = limit.min(out.len());
        Self { out, len, limit }
    }

    /// Returns how many bytes there are: where the next one goes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Takes back everything after `len`.
    pub(crate) fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Allows so many bytes in all.
    pub(crate) fn allow(&mut self, limit: usize) {
        self.limit = limit.min(self.out.len());
    }

    /// Appends bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len + bytes.len();
        if end > self.limit {
            return Err(Full);
        }
        let room = self.out.get_mut(self.len..end).ok_or(Full)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Returns the byte at `at`.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.out.get(at).copied().unwrap_or(0)
    }

    /// Says whether these bytes stand at `at`, but for the case of letters.
    pub(crate) fn has_at(&self, at: usize, bytes: &[u8]) -> bool {
        let found = self.out.get(at..at + bytes.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(bytes))
    }

    /// Writes bytes over what is at `at`.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(room) = self.out.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    /// Appends a record whose data are these parts, or nothing of it.
    pub(crate) fn record(
        &mut self,
        owner: Pointer,
        rtype: u16,
        ttl: u32,
        data: &[&[u8]],
    ) -> Result<(), Full> {
        let bytes: usize = data.iter().map(|part| part.len()).sum();
        let bytes = u16::try_from(bytes).map_err(|_| Full)?;
        if self.len + owner.bytes().len() + FIXED_BYTES + usize::from(bytes) > self.limit {
            return Err(Full);
        }
        let [o1, o2] = owner.bytes();
        let [t1, t2] = rtype.to_be_bytes();
        let [c1, c2] = CLASS_IN.to_be_bytes();
        let [s1, s2, s3, s4] = ttl.to_be_bytes();
        let [l1, l2] = bytes.to_be_bytes();
        self.put(&[o1, o2, t1, t2, c1, c2, s1, s2, s3, s4, l1, l2])?;
        data.iter().try_for_each(|part| self.put(part))
    }

    /// Appends an address record: 16 bytes for IPv4, 28 for IPv6.
    pub(crate) fn address<const N: usize>(
        &mut self,
        owner: Pointer,
        ttl: u32,
        address: &[u8; N],
    ) -> Result<(), Full> {
        let kind = if N == 4 { rtype::A } else { rtype::AAAA };
        self.record(owner, kind, ttl, &[address])
    }
}
