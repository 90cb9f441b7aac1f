//! Reading on another thread.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Bytes that are handed over together.
const BLOCK: usize = 1 << 18;
/// Blocks that wait at most.
const AHEAD: usize = 8;

/// What another thread reads, and unpacks, a little ahead.
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    at: usize,
}

impl Ahead {
    /// Begins to read; the thread ends with the source, or with this.
    pub(super) fn of<'scope>(
        scope: &'scope Scope<'scope, '_>,
        source: impl Read + Send + 'scope,
    ) -> Self {
        let (send, blocks) = sync_channel(AHEAD);
        scope.spawn(move || feed(source, &send));
        Self { blocks, block: Vec::new(), at: 0 }
    }
}

fn feed(mut source: impl Read, send: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK);
        let read = source.by_ref().take(BLOCK as u64).read_to_end(&mut block).map(|_| block);
        let last = !matches!(&read, Ok(block) if !block.is_empty());
        if send.send(read).is_err() || last {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let count = ready.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.block.len() {
            self.block = self.blocks.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.at = 0;
        }
        Ok(&self.block[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

#[cfg(test)]
mod tests {
    use std::thread::scope;

    use super::*;

    #[test]
    fn everything_comes_in_order_and_an_error_at_its_place() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 7).map(|i| (i % 251) as u8).collect();
        let mut found = Vec::new();
        scope(|scope| Ahead::of(scope, &bytes[..]).read_to_end(&mut found)).unwrap();
        assert!(found == bytes);

        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut found = Vec::new();
        let result = scope(|scope| {
            Ahead::of(scope, bytes[..2 * BLOCK].chain(Broken)).read_to_end(&mut found)
        });
        assert_eq!(result.unwrap_err().to_string(), "broken");
        assert_eq!(found.len(), 2 * BLOCK);
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_thread() {
        scope(|scope| drop(Ahead::of(scope, io::repeat(1))));
    }
}
