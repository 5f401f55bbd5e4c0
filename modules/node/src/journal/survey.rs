//! At the start: every file read and proven, before any shard serves.
//!
//! The tail of the newest file may be torn, since a crash can come in the middle of a write: it is cut, and said. So may
//! be what follows the place where a file was given up. Anything else means that what was acknowledged is lost or changed;
//! then nothing starts, and the message says what to do.

use super::frame::{BadHead, Content, FILE_HEAD, FileHead, Found, FrameHead, TO_ITS_END};
use super::log::Position;
use super::medium::Medium;
use std::collections::HashMap;

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// The files in their order: number, bytes up to the end of the last good frame.
    pub files: Vec<(u64, Vec<u8>)>,
    /// Seconds to be added to the times of each session, to have them by the wall clock as it stands after the last one.
    pub shifts: HashMap<u64, i64>,
    /// Sessions in their order, each with how far the wall clock went from the registrars' while it lasted.
    moved: Vec<(u64, i64)>,
    /// The highest sequence.
    pub sequence: u64,
    /// What was cut, to be said.
    pub cut: Option<String>,
    /// The highest version of a file; 0: there is none.
    pub version: u16,
}

/// Why the journal cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}; put back a copy of its folder, or move the folder away to start without registrations \
             (every phone comes back with its next refresh)",
            self.file, self.why
        )
    }
}

impl std::error::Error for Damage {}

impl Survey {
    /// Reads and proves everything.
    ///
    /// # Errors
    /// What is worse than a torn tail.
    pub fn take<M: Medium>(medium: &mut M) -> Result<Survey, Damage> {
        let mut numbers = medium.numbers().map_err(|error| damage(medium, 0, &error.to_string()))?;
        numbers.sort_unstable();
        let mut survey = Survey::default();
        for (place, number) in numbers.iter().enumerate() {
            if place > 0 && numbers.get(place - 1).is_some_and(|before| before + 1 != *number) {
                return Err(damage(medium, number - 1, "is missing"));
            }
            let bytes = medium.read(*number).map_err(|error| damage(medium, *number, &error.to_string()))?;
            survey.add(medium, *number, bytes, place + 1 == numbers.len())?;
        }
        survey.sum_up();
        Ok(survey)
    }

    /// Where writing goes on.
    pub fn position(&self) -> Position {
        let total = self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        Position {
            file: self.files.last().map_or(0, |(number, _)| *number),
            length: self.files.last().map_or(0, |(_, bytes)| bytes.len() as u64),
            sequence: self.sequence + 1,
            total,
            oldest: self.files.first().map_or(1, |(number, _)| *number),
        }
    }

    /// Length of each file.
    pub fn lengths(&self) -> Vec<(u64, u64)> {
        self.files.iter().map(|(number, bytes)| (*number, bytes.len() as u64)).collect()
    }

    fn add<M: Medium>(&mut self, medium: &mut M, number: u64, mut bytes: Vec<u8>, newest: bool) -> Result<(), Damage> {
        let head = match FileHead::read(&bytes, Content::Registrations) {
            Ok(head) => head,
            // WHY only the newest: it was being made, and nothing of it was ever acknowledged.
            Err(BadHead::Torn) if newest && !FrameHead::any_behind(&bytes, 0) => {
                self.cut = Some(format!("{}: was being made, and is removed", medium.name(number)));
                return medium.remove(number).map_err(|error| damage(medium, number, &error.to_string()));
            }
            Err(BadHead::Version(version)) => {
                let why = format!("is of version {version}, made by a later release: start that one");
                return Err(damage(medium, number, &why));
            }
            Err(_) => return Err(damage(medium, number, "its head is damaged")),
        };
        if head.number != number {
            return Err(damage(medium, number, "has the number of another file: it was renamed"));
        }
        if head.previous_ends != TO_ITS_END
            && let Some((_, before)) = self.files.last_mut()
        {
            let ends = usize::try_from(head.previous_ends).unwrap_or(usize::MAX);
            if before.len() < ends {
                return Err(damage(medium, number - 1, "is shorter than the file after it says"));
            }
            before.truncate(ends);
        }
        self.version = self.version.max(head.version);
        let end = self.frames(&bytes);
        if let Found::Later(version) = FrameHead::read(&bytes, end) {
            let why = format!("has frames of version {version}, made by a later release: start that one");
            return Err(damage(medium, number, &why));
        }
        if end < bytes.len() {
            // What follows a given-up end is judged when the file after it says where that was.
            if FrameHead::any_behind(&bytes, end + 1) {
                return Err(damage(medium, number, &format!("is damaged at byte {end}, and not at its end")));
            }
            if newest {
                medium.cut(number, end as u64).map_err(|error| damage(medium, number, &error.to_string()))?;
                let torn = bytes.len() - end;
                self.cut = Some(format!("{}: {torn} bytes of an unfinished write are cut", medium.name(number)));
            }
            bytes.truncate(end);
        }
        self.files.push((number, bytes));
        Ok(())
    }

    /// Proves the frames of a file; where the last whole one ends.
    fn frames(&mut self, bytes: &[u8]) -> usize {
        let mut at = FILE_HEAD;
        while let Found::Frame(head, payload) = FrameHead::read(bytes, at) {
            at += super::frame::FRAME_HEAD + payload.len();
            self.sequence = self.sequence.max(head.sequence);
            // The newest frame of a session knows best how its clock stood to the wall's.
            let shift = i64::try_from(head.wall).unwrap_or(0) - i64::from(head.second);
            match self.moved.last_mut().filter(|(session, _)| *session == head.session) {
                Some((_, known)) => *known = shift,
                None => self.moved.push((head.session, shift)),
            }
        }
        at
    }
}

impl Survey {
    /// A session begins by the wall clock, with what the ones before left: when the wall is moved while it lasts, their
    /// times move along.
    fn sum_up(&mut self) {
        let mut sum = 0;
        for (session, shift) in self.moved.iter().rev() {
            sum += shift;
            self.shifts.insert(*session, sum);
        }
    }
}

fn damage<M: Medium>(medium: &M, number: u64, why: &str) -> Damage {
    Damage { file: medium.name(number), why: why.to_owned() }
}
