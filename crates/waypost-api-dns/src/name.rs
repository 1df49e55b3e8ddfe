//! Names as they are on the wire: each label after its length, the empty one last (RFC 1035 section 3.1).

/// Most bytes of a name on the wire.
pub(crate) const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;

/// A name in lower case, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; NAME_BYTES_MAX],
    len: usize,
}

/// Why bytes are no name that a question may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAName;

impl Name {
    /// Reads the name at the start of `wire`, which may not be compressed: in the only question of a message there is
    /// nothing before it that it could point to (RFC 1035 section 4.1.4).
    pub(crate) fn read(wire: &[u8]) -> Result<Self, NotAName> {
        let mut len = 0;
        loop {
            let label = usize::from(*wire.get(len).ok_or(NotAName)?);
            if label > LABEL_BYTES_MAX || len + label >= NAME_BYTES_MAX {
                return Err(NotAName);
            }
            len += 1 + label;
            if label == 0 {
                break;
            }
        }
        let from = wire.get(..len).ok_or(NotAName)?;
        let mut name = Self {
            bytes: [0; NAME_BYTES_MAX],
            len,
        };
        let to = name.bytes.get_mut(..len).ok_or(NotAName)?;
        to.copy_from_slice(from);
        // Lengths are below the letters, so that the whole name can be folded at once.
        to.make_ascii_lowercase();
        Ok(name)
    }

    /// Returns the bytes, lower case.
    pub(crate) fn wire(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Walks the labels of a wire name from the left, without the root.
pub(crate) fn labels(mut wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (label, rest) = split_label(wire)?;
        wire = rest;
        Some(label)
    })
}

/// Splits the first label from a wire name or a part of one; `None` at the root or at the end of the part.
pub(crate) fn split_label(wire: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = wire.split_first()?;
    if *len == 0 {
        return None;
    }
    rest.split_at_checked(usize::from(*len))
}

/// Turns labels joined by dots into a wire name as written; `None` when they are none.
pub(crate) fn to_wire(dotted: &str) -> Option<Vec<u8>> {
    let dotted = dotted.strip_suffix('.').unwrap_or(dotted);
    let mut wire = Vec::with_capacity(dotted.len() + 2);
    for label in dotted.split('.') {
        let len = u8::try_from(label.len()).ok()?;
        if len == 0 || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        wire.push(len);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    (wire.len() <= NAME_BYTES_MAX).then_some(wire)
}

/// The same in lower case.
pub(crate) fn to_lower_wire(dotted: &str) -> Option<Vec<u8>> {
    let mut wire = to_wire(dotted)?;
    wire.make_ascii_lowercase();
    Some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_lower_case_and_walked_label_by_label() {
        let name = Name::read(b"\x03wWw\x07Example\x00rest").unwrap();
        assert_eq!(name.wire(), b"\x03www\x07example\x00");
        let found: Vec<&[u8]> = labels(name.wire()).collect();
        assert_eq!(found, [&b"www"[..], &b"example"[..]]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long: Vec<u8> = std::iter::repeat_n(
            b"\x3fabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk",
            4,
        )
        .flatten()
        .copied()
        .chain([0])
        .collect();
        for bad in [
            &b""[..],
            b"\x03ww",
            b"\x03www",
            b"\xc0\x0c",
            b"\x40a\x00",
            b"\x80\x00",
            &long,
        ] {
            assert!(Name::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_longest_name_has_255_bytes() {
        let mut wire: Vec<u8> = Vec::new();
        for label in [63_u8, 63, 63, 61] {
            wire.push(label);
            wire.extend(std::iter::repeat_n(b'a', label.into()));
        }
        wire.push(0);
        assert_eq!(wire.len(), NAME_BYTES_MAX);
        assert_eq!(Name::read(&wire).unwrap().wire(), wire);
        wire.insert(190, b'a');
        assert!(Name::read(&wire).is_err());
    }

    #[test]
    fn dotted_names_become_wire_names() {
        assert_eq!(to_wire("A.b").unwrap(), b"\x01A\x01b\x00");
        assert_eq!(to_lower_wire("A.b.").unwrap(), b"\x01a\x01b\x00");
        for bad in ["", "a..b", ".a", &"a".repeat(64), &"a.".repeat(128)] {
            assert!(to_wire(bad).is_none(), "{bad}");
        }
    }
}
