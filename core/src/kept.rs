//! What is kept of a body that comes once, so that it can be sent again.

use bytes::{Bytes, BytesMut};

/// Pieces below this size are put together where they are kept, to pieces of at least the other.
const SMALL: usize = 4 * 1024;
const TOGETHER: usize = 64 * 1024;

/// The pieces of a body as far as they came, up to a size.
#[derive(Default)]
pub(crate) struct Kept {
    pieces: Vec<Bytes>,
    /// Small pieces, put together: each of them may be the view of a large buffer.
    tail: BytesMut,
    size: u64,
    /// Something that came is kept nowhere.
    pub(crate) lost: bool,
}

impl Kept {
    /// The piece at an index; what was not [settled](Kept::settle) is at none.
    pub(crate) fn get(&self, index: usize) -> Option<&Bytes> {
        self.pieces.get(index)
    }

    /// The index of the next piece.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Keeps a piece, if all of them are no more than `most` bytes.
    pub(crate) fn keep(&mut self, piece: &Bytes, most: u64) {
        self.size = self.size.saturating_add(piece.len() as u64);
        if self.lost || self.size > most {
            self.lose();
        } else if piece.len() < SMALL {
            self.tail.extend_from_slice(piece);
            if self.tail.len() >= TOGETHER {
                self.settle();
            }
        } else {
            self.settle();
            self.pieces.push(piece.clone());
        }
    }

    /// Nothing is put to the small pieces so far: they can be had.
    pub(crate) fn settle(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
    }

    /// Gives up what was kept.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.pieces = Vec::new();
        self.tail = BytesMut::new();
    }
}
