//! Random REGISTERs against a naive model: what was acknowledged after its sync is there after any crash, nothing is
//! there beyond its end and grace, and lookups say the same as the model.

use super::*;
use std::collections::BTreeMap;

/// The model: until when each contact of each user lasts, and with which CSeq it came.
type Model = BTreeMap<(String, String), (u64, u32)>;

struct World {
    bench: Bench,
    /// As acknowledged.
    durable: Model,
    /// As it is in memory.
    current: Model,
    random: u64,
    /// Seconds since the beginning, by a clock that nothing moves.
    passed: u64,
    /// By how much the wall clock is ahead of that.
    moved: i64,
    cseq: u32,
    refused: u32,
    restarts: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        World {
            bench: Bench::new(TOML),
            durable: Model::new(),
            current: Model::new(),
            random: seed,
            passed: 0,
            moved: 0,
            cseq: 1,
            refused: 0,
            restarts: 0,
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn register(&mut self) {
        let user = format!("u{}", self.draw(12));
        let contact = format!("sip:{user}@h{}", self.draw(3));
        let expires = if self.draw(4) == 0 { 0 } else { 60 + self.draw(600) };
        self.cseq += 1;
        let cseq = self.cseq;
        let reply = self.bench.register(&user, &user, cseq, &format!("Contact: <{contact}>;expires={expires}\r\n"));
        match reply.reason {
            Reason::JournalBroken => self.refused += 1,
            _ if expires == 0 => _ = self.current.remove(&(user, contact)),
            _ => _ = self.current.insert((user, contact), (self.passed + expires, cseq)),
        }
    }

    fn wait(&mut self) {
        let seconds = 1 + self.draw(30);
        self.passed += seconds;
        self.bench.wait(seconds);
        self.moved_back();
    }

    /// `Bench::wait` moves the wall clock along.
    fn moved_back(&mut self) {
        let passed = self.passed;
        let grace = u64::from(GRACE_SECONDS);
        self.current.retain(|_, (ends, _)| *ends + grace > passed);
        self.durable.retain(|_, (ends, _)| *ends + grace > passed);
    }

    fn sync(&mut self) {
        self.bench.sync();
        self.durable = self.current.clone();
    }

    /// A write fails: nothing of the batch is on the disk, and what it told of is told to nobody.
    fn fail(&mut self) {
        if let Some(batch) = self.bench.registrar.take_batch() {
            self.bench.registrar.batch_back(batch);
            self.register();
            self.bench.registrar.mend();
            // The record of every account that differs is made again when it is next registered; a crash now
            // brings back what was durable.
        }
    }

    fn jump(&mut self) {
        let seconds = i64::try_from(self.draw(7_200)).unwrap() - 3_600;
        self.moved += seconds;
        let wall = i64::try_from(self.bench.now.wall.0).unwrap() + seconds * 1_000_000;
        self.bench.now.wall = Wall(u64::try_from(wall).unwrap());
    }

    /// A crash: what was not synced is gone. The journal's lane had noted how the clocks stood.
    fn crash(&mut self) {
        let shift = self.moved;
        self.rebase(shift);
        self.bench.restart(0);
        self.current = self.durable.clone();
        self.moved = 0;
        self.restarts += 1;
    }

    /// The clock of the new process is the wall's: records on the disk are told by how much that moved, as
    /// `Entry`s of a session are by the frame that noted it.
    fn rebase(&mut self, shift: i64) {
        for batch in &mut self.bench.disk {
            let (mut moved, mut rest) = (Vec::new(), &batch[..]);
            while let Some((entry, behind)) = Entry::read(rest) {
                let mut record = Vec::new();
                record::begin(0, entry.user, &mut record);
                let mut count = 0;
                for binding in entry.bindings() {
                    let expires = shifted(binding.expires, shift);
                    Binding { expires, updated: shifted(binding.updated, shift), ..binding }.write(&mut record);
                    count += 1;
                }
                assert!(record::finish(count, &mut record));
                journal::write_entry(entry.domain, &Account::read(&record).unwrap(), &mut moved);
                rest = behind;
            }
            *batch = moved;
        }
    }

    fn check(&mut self) {
        for user in (0..12).map(|number| format!("u{number}")) {
            let of_user = self.current.iter().filter(|((known, _), _)| *known == user);
            let expected: Vec<_> = of_user.map(|((_, contact), _)| contact.clone()).collect();
            assert_eq!(self.bench.located(&user), expected, "{user} at {} s", self.passed);
        }
        assert_eq!(self.bench.registrar.figures().bindings, self.current.len() as u64);
    }
}

#[test]
fn what_is_acknowledged_survives_and_nothing_outlives_its_end() {
    let (mut refused, mut restarts) = (0, 0);
    for seed in 0..40 {
        let mut world = World::new(seed);
        for _ in 0..600 {
            match world.draw(20) {
                0 => world.crash(),
                1 => world.jump(),
                2..=4 => world.wait(),
                5..=8 => world.sync(),
                _ => world.register(),
            }
            world.check();
        }
        restarts += world.restarts;
        // Failures apart: what memory has beyond the disk may be lost then, but never what was acknowledged.
        for _ in 0..50 {
            world.register();
            world.sync();
            world.register();
            world.fail();
            world.crash();
            world.check();
        }
        refused += world.refused;
    }
    assert!(refused > 500 && restarts > 500, "{refused} {restarts}");
}
