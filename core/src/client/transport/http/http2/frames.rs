//! The frames in what goes over a connection, one way: their heads, and no more.

/// A piece of a body.
pub(super) const DATA: u8 = 0;
/// Leave to send more.
pub(super) const WINDOW_UPDATE: u8 = 8;

/// What every frame begins with (RFC 9113 4.1).
const HEAD: usize = 9;
/// What clients send before their first frame.
const PREFACE: usize = 24;

/// Where one side is in its frames.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes until the next head.
    skip: usize,
    /// What has come of a head, and of the number after that of a window update.
    head: [u8; HEAD + 4],
    have: usize,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) length: u32,
    /// How much more a window update lets out; else nothing.
    pub(super) more: u32,
}

impl Frames {
    pub(super) fn of_client() -> Self {
        Frames { skip: PREFACE, ..Self::of_server() }
    }

    pub(super) fn of_server() -> Self {
        Frames { skip: 0, head: [0; HEAD + 4], have: 0 }
    }

    /// Follows these bytes, and tells of each frame that begins in them.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let size = self.skip.min(bytes.len());
                self.skip -= size;
                bytes = &bytes[size..];
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.wanted() - self.have));
            self.head[self.have..][..part.len()].copy_from_slice(part);
            self.have += part.len();
            bytes = rest;
            // A head may turn out to want the number after it.
            if self.have >= HEAD && self.have == self.wanted() {
                let frame = self.frame();
                self.skip = frame.length as usize + HEAD - self.have;
                self.have = 0;
                tell(frame);
            }
        }
    }

    /// How much of a frame is looked at.
    fn wanted(&self) -> usize {
        let [a, b, c, kind, ..] = self.head;
        // One of another length is an error of the connection.
        if self.have >= HEAD && kind == WINDOW_UPDATE && [a, b, c] == [0, 0, 4] { HEAD + 4 } else { HEAD }
    }

    fn frame(&self) -> Frame {
        let [a, b, c, kind, _, s0, s1, s2, s3, m0, m1, m2, m3] = self.head;
        // The first bit says nothing.
        let number = |bytes| u32::from_be_bytes(bytes) & (u32::MAX >> 1);
        let more = if self.have > HEAD { number([m0, m1, m2, m3]) } else { 0 };
        Frame { kind, stream: number([s0, s1, s2, s3]), length: u32::from_be_bytes([0, a, b, c]), more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut.
    #[test]
    fn frames_are_followed() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend([0, 0, 5, DATA, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5]);
        bytes.extend([0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0, 0x80, 1, 0, 0]);
        bytes.extend([0, 0, 0, 4, 1, 0, 0, 0, 0]);
        bytes.extend([0, 0, 3, WINDOW_UPDATE, 0, 0, 0, 0, 7, 1, 1, 1]);
        bytes.extend([0, 0, 0, DATA, 1, 0x80, 0, 0, 9]);
        let frame = |kind, stream, length, more| Frame { kind, stream, length, more };
        let all = [
            frame(DATA, 1, 5, 0),
            frame(WINDOW_UPDATE, 0, 4, 65_536),
            frame(4, 0, 0, 0),
            frame(WINDOW_UPDATE, 7, 3, 0),
            frame(DATA, 9, 0, 0),
        ];
        for size in 1..=bytes.len() {
            let (mut frames, mut seen) = (Frames::of_client(), Vec::new());
            bytes.chunks(size).for_each(|piece| frames.follow(piece, |frame| seen.push(frame)));
            assert_eq!(seen, all, "pieces of {size}");
        }
    }
}
