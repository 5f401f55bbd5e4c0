//! When sleeping for more than one frame pays: a busy shard would wake for each of a few frames that
//! come within a moment, and waking costs more than they do. Used by the io_uring driver.

use crate::time::{Micros, Wall};

/// Watches how much comes.
pub(super) struct Gather {
    wait: Micros,
    pays: bool,
    since: Wall,
    frames: u64,
}

impl Gather {
    /// Gathers for at most `wait`.
    pub(super) fn new(wait: Micros) -> Self {
        Gather { wait, pays: false, since: Wall::default(), frames: 0 }
    }

    /// How long the next sleep gathers; zero: it ends with the first frame.
    pub(super) fn wait(&self) -> Micros {
        if self.pays { self.wait } else { Micros(0) }
    }

    /// So many frames came, and it is `now`.
    pub(super) fn count(&mut self, frames: usize, now: Wall) {
        self.frames += frames as u64;
        let elapsed = now.0.wrapping_sub(self.since.0);
        if elapsed >= WINDOW.0 {
            self.pays = self.frames.saturating_mul(1_000_000) / elapsed >= limits::GATHER_FRAMES_PER_SECOND;
            self.since = now;
            self.frames = 0;
        }
    }
}

/// WHY: short, so that a pause ends it; longer than the rhythm of a call.
const WINDOW: Micros = Micros::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pays_while_much_comes() {
        let mut gather = Gather::new(Micros(100));
        let mut now = Wall(1_700_000_000_000_000);
        let mut run = |gap: u64, frames: usize| {
            for _ in 0..1_000 {
                now.0 += gap;
                gather.count(frames, now);
            }
            gather.wait()
        };
        assert_eq!(run(1_000, 1), Micros(0), "1,000 a second");
        assert_eq!(run(30, 1), Micros(100), "33,000 a second");
        assert_eq!(run(500, 20), Micros(100), "40,000 a second in few turns");
        assert_eq!(run(200, 1), Micros(0), "5,000 a second");
        now.0 -= 3_600_000_000;
        gather.count(1, now);
        assert_eq!(gather.wait(), Micros(0), "the clock was set back");
    }
}
