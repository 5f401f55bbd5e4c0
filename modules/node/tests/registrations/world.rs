//! What happens under a seed, and what is asserted of it.

use crate::accounts::Accounts;
use crate::disk::Disk;
use crate::model::{Bindings, Model};
use crate::phone::{Attempt, Phone, Proof};
use crate::process::{Process, Start, moment};
use engine::Now;
use modules::registrar::Entry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tandem::journal::frame::{FILE_HEAD, FRAME_HEAD, Found, FrameHead, VERSION, VERSION_BEFORE};
use tandem::journal::survey::Survey;

const SECOND: u64 = 1_000_000;
pub(crate) const USERS: u64 = 8;
const CONTACTS: u64 = 3;

/// From where phones register; they have no addresses of their own.
pub(crate) const PHONE: &str = "192.0.2.9:5060";

/// A fault that is planted, to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Syncs return and do nothing.
    DiskLies,
    /// The lane says of batches that they are kept, and writes none.
    LaneForgets,
    /// Jumps of the wall clock are not noted.
    ClockUnnoted,
    /// A process takes nonces of earlier ones, with nonce counts that begin anew.
    WindowsForgotten,
    /// The source of accounts takes every proof for right.
    GuessesBelieved,
}

impl Flaw {
    pub(crate) const ALL: [Flaw; 5] =
        [Flaw::DiskLies, Flaw::LaneForgets, Flaw::ClockUnnoted, Flaw::WindowsForgotten, Flaw::GuessesBelieved];
}

/// A REGISTER on its way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) user: String,
    contact: String,
    expires: u64,
    cseq: u32,
    text: String,
    /// The second in which it was first sent.
    at: u64,
    /// What holds of the user was known when it was sent.
    pub(crate) sure: bool,
    /// It was sent more than once.
    pub(crate) repeated: bool,
    /// The proof that it brings, where its user has an account.
    pub(crate) proof: Option<Proof>,
}

/// See the module.
pub(crate) struct World {
    random: u64,
    disk: Disk,
    pub(crate) process: Process,
    pub(crate) model: Model,
    /// The last REGISTER of each user, not answered yet.
    pub(crate) asked: BTreeMap<String, Asked>,
    /// Of users with accounts; half of the seeds have them.
    pub(crate) phones: BTreeMap<String, Phone>,
    /// What nobody must get a binding by, by its user and CSeq; whether its nonce must be what is said of it.
    pub(crate) attempts: BTreeMap<(String, u32), (Attempt, Option<bool>)>,
    pub(crate) digest: bool,
    /// The highest CSeq of each user.
    cseqs: BTreeMap<String, u32>,
    /// Microseconds since the beginning, by a clock that nothing moves.
    pub(crate) passed: u64,
    /// By how much the wall clock is ahead of that.
    ahead: u64,
    /// When the process began: its monotonic clock.
    pub(crate) began: u64,
    flaw: Option<Flaw>,
    trace: bool,
    broken: bool,
    requests: u32,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) kills: u64,
    pub(crate) looked: u64,
    /// Attempts that were refused, right proofs with nonces that could not be used, and those that the source of accounts
    /// said nothing of.
    pub(crate) attempted: u64,
    pub(crate) stale: u64,
    pub(crate) untold: u64,
}

impl World {
    pub(crate) fn new(seed: u64, flaw: Option<Flaw>, trace: bool) -> Self {
        let disk = Disk::default();
        if flaw == Some(Flaw::DiskLies) {
            disk.set_lies();
        }
        let ahead = 1_700_000_000 * SECOND;
        let digest = seed % 2 == 1;
        let start = Start {
            shards: 2,
            version: VERSION,
            session: 1,
            accounts: digest.then(|| Accounts::new(flaw == Some(Flaw::GuessesBelieved))),
            forgets_windows: flaw == Some(Flaw::WindowsForgotten),
        };
        let process = Process::start(&disk, start, moment(0, ahead)).unwrap();
        World {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d,
            disk,
            process,
            model: Model::default(),
            asked: BTreeMap::new(),
            phones: BTreeMap::new(),
            attempts: BTreeMap::new(),
            digest,
            cseqs: BTreeMap::new(),
            passed: 0,
            ahead,
            began: 0,
            flaw,
            trace,
            broken: false,
            requests: 0,
            acknowledged: 0,
            refused: 0,
            kills: 0,
            looked: 0,
            attempted: 0,
            stale: 0,
            untold: 0,
        }
    }

    /// One event, drawn.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.draw(20) {
            0..=6 if self.digest => self.digest_step()?,
            0..=6 => self.register(None)?,
            7 => self.again()?,
            8..=11 => self.write()?,
            12..=14 => self.look_up()?,
            15 | 16 => self.wait()?,
            17 => self.jump(),
            18 => self.kill()?,
            _ => {
                self.broken = !self.broken && self.draw(3) == 0;
                self.disk.set_broken(self.broken);
                self.say(&format!("the disk is {}", if self.broken { "broken" } else { "well" }));
            }
        }
        Ok(())
    }

    /// All users are looked up, after one more kill.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.broken = false;
        self.disk.set_broken(false);
        self.process.accounts().is_silent = false;
        for _ in 0..3 {
            self.write()?;
        }
        self.kill()?;
        for number in 0..USERS {
            self.look_up_user(&format!("u{number}"))?;
        }
        Ok(())
    }

    /// A user registers something: one of all, or that one, with its proof.
    pub(crate) fn register(&mut self, proven: Option<(String, Proof)>) -> Result<(), String> {
        let (user, proof) = match proven {
            Some((user, proof)) => (user, Some(proof)),
            None => (format!("u{}", self.draw(USERS)), None),
        };
        let contact = format!("sip:{user}@192.0.2.{}", 100 + self.draw(CONTACTS));
        let expires = if self.draw(5) == 0 { 0 } else { 5 + self.draw(200) };
        let line = proof.as_ref().map_or("", |proof| &proof.line);
        let (cseq, text) = self.request(&user, &format!("<{contact}>;expires={expires}"), line);
        let sure = !self.model.is_unsure(&user);
        self.model.asks(&user);
        let at = self.passed / SECOND;
        let asked = Asked { user: user.clone(), contact, expires, cseq, text, at, sure, repeated: false, proof };
        self.asked.insert(user, asked.clone());
        self.send(PHONE, &asked.text)
    }

    /// A REGISTER, and its CSeq.
    pub(crate) fn request(&mut self, user: &str, contact: &str, line: &str) -> (u32, String) {
        let cseq = self.cseqs.entry(user.to_owned()).or_default();
        *cseq += 1;
        let cseq = *cseq;
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK{user}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=f\r\nTo: <sip:{user}@example.com>\r\n\
             Call-ID: {user}\r\nCSeq: {cseq} REGISTER\r\nContact: {contact}\r\n{line}Content-Length: 0\r\n\r\n"
        );
        (cseq, text)
    }

    /// A REGISTER that was not answered is repeated.
    fn again(&mut self) -> Result<(), String> {
        let place = self.draw(USERS);
        let Some(asked) = self.asked.get_mut(&format!("u{place}")) else { return Ok(()) };
        asked.repeated = true;
        let text = asked.text.clone();
        self.send(PHONE, &text)
    }

    pub(crate) fn send(&mut self, from: &str, text: &str) -> Result<(), String> {
        let shard = usize::try_from(self.draw(8)).unwrap();
        self.say(text.split("\r\n").find(|line| line.starts_with("Contact")).unwrap_or(text));
        self.process.deliver(shard, from.parse().unwrap(), text);
        self.settle().map(drop)
    }

    fn write(&mut self) -> Result<(), String> {
        let now = self.now();
        self.process.write(now, self.flaw == Some(Flaw::LaneForgets));
        self.settle().map(drop)
    }

    fn look_up(&mut self) -> Result<(), String> {
        let user = format!("u{}", self.draw(USERS));
        self.look_up_user(&user)
    }

    /// A MESSAGE to a user: whom it reaches. Nobody answers it but once, so that it ends.
    fn look_up_user(&mut self, user: &str) -> Result<(), String> {
        self.requests += 1;
        let id = format!("m{}-{}", self.kills, self.requests);
        let text = format!(
            "MESSAGE sip:{user}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@elsewhere.example>;tag=f\r\nTo: <sip:{user}@example.com>\r\n\
             Call-ID: {id}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        let shard = usize::try_from(self.draw(8)).unwrap();
        self.process.deliver(shard, "192.0.2.8:5060".parse().unwrap(), &text);
        let sent = self.settle()?;
        let uri = |text: &str| text.split(' ').nth(1).unwrap_or_default().to_owned();
        let branches: Vec<_> = sent.iter().filter(|(_, text)| text.starts_with("MESSAGE ")).collect();
        let contacts: Vec<String> = branches.iter().map(|(_, text)| uri(text)).collect();
        let refused = sent.iter().any(|(_, text)| text.starts_with("SIP/2.0 404") || text.starts_with("SIP/2.0 480"));
        // Whether there is such a user is not known while the source of accounts is silent.
        let is_open = contacts.is_empty() && self.process.accounts().is_silent;
        if contacts.is_empty() != refused && !is_open {
            return Err(format!("{user}: {} branches, and {sent:?}", contacts.len()));
        }
        self.say(&format!("{user} is reached at {contacts:?}"));
        self.looked += 1;
        let answers: Vec<_> = branches.iter().map(|(to, text)| (*to, answer(text))).collect();
        self.model.reached(user, &contacts, self.passed / SECOND)?;
        for (from, text) in answers {
            self.process.deliver(shard, from, &text);
        }
        self.settle().map(drop)
    }

    fn wait(&mut self) -> Result<(), String> {
        // The lane never lets batches lie for so long: the one that is with it, and the one behind it.
        for _ in 0..3 {
            self.write()?;
        }
        let until = self.passed + self.draw(60 * SECOND);
        self.say("waits");
        loop {
            let idle = self.process.idle_for(self.now()).unwrap_or(u64::MAX).max(1);
            self.passed = self.passed.saturating_add(idle).min(until);
            self.settle()?;
            if self.passed >= until {
                return Ok(());
            }
        }
    }

    /// The wall clock is put right, or wrong, by up to two hours; the lane sees it within a second.
    fn jump(&mut self) {
        if self.broken {
            return;
        }
        let now = self.now();
        self.process.write(now, false);
        // Short ones make nonces of earlier processes young again.
        let most = if self.draw(3) == 0 { 40 } else { 7_200 };
        let by = self.draw(most) * SECOND;
        self.ahead = if self.draw(2) == 0 { self.ahead + by } else { self.ahead - by };
        self.say("the wall clock jumps");
        let now = self.now();
        if self.flaw != Some(Flaw::ClockUnnoted) {
            self.process.look(now);
        }
    }

    /// kill -9, perhaps in the middle of a write; another process goes on, of other shards, perhaps of another version.
    fn kill(&mut self) -> Result<(), String> {
        let mut frame = Vec::new();
        let head = FrameHead { version: VERSION, sequence: u64::MAX, session: 0, second: 1, wall: 1 };
        head.write(std::iter::once(&b"a write that did not come to its end"[..]), &mut frame);
        let written = usize::try_from(self.draw(frame.len() as u64)).unwrap();
        if !self.broken {
            self.disk.begin_write(&frame[..written]);
        }
        let cut = self.draw(2_000);
        self.disk.crash(|unsynced| usize::try_from(cut).unwrap().min(unsynced));
        self.kills += 1;
        self.passed += self.draw(20) * SECOND;
        self.began = self.passed;
        self.asked.clear();
        self.attempts.clear();
        let shards = u16::try_from(1 + self.draw(3)).unwrap();
        let version = if self.draw(3) == 0 { VERSION_BEFORE } else { VERSION };
        self.say(&format!("killed; {shards} shards, version {version}"));
        let session = 1_000 + self.kills;
        // What cannot be written now is cut when the disk works again.
        self.broken = false;
        self.disk.set_broken(false);
        let start = Start {
            shards,
            version,
            session,
            accounts: self.digest.then(|| Accounts::new(self.flaw == Some(Flaw::GuessesBelieved))),
            forgets_windows: self.flaw == Some(Flaw::WindowsForgotten),
        };
        self.process = Process::start(&self.disk, start, self.now())?;
        self.settle()?;
        if self.digest { self.replay_after_start() } else { Ok(()) }
    }

    /// Lets everything happen that follows; judges what is answered.
    pub(crate) fn settle(&mut self) -> Result<Vec<(SocketAddr, String)>, String> {
        let mut sent = Vec::new();
        let now = self.now();
        self.process.settle(now, &mut sent);
        for (_, text) in &sent {
            if field(text, "CSeq").is_some_and(|cseq| cseq.ends_with("REGISTER")) {
                self.registered(text)?;
            }
        }
        Ok(sent)
    }

    fn registered(&mut self, text: &str) -> Result<(), String> {
        let user = field(text, "Call-ID").unwrap_or_default().to_owned();
        let cseq: u32 = field(text, "CSeq").and_then(|cseq| cseq.split(' ').next()?.parse().ok()).unwrap_or(0);
        self.say(text.split("\r\n").next().unwrap_or_default());
        if let Some(attempt) = self.attempts.remove(&(user.clone(), cseq)) {
            return self.attempt_answered(&user, attempt, text);
        }
        let Some(asked) = self.asked.get(&user).filter(|asked| asked.cseq == cseq).cloned() else { return Ok(()) };
        if let Some(proof) = &asked.proof
            && text.starts_with("SIP/2.0 401")
        {
            return self.proof_stale(&asked, proof, text);
        }
        if text.starts_with("SIP/2.0 503") {
            self.refused += 1;
            self.maybe_untold(&asked);
            return Ok(());
        }
        if !text.starts_with("SIP/2.0 200") {
            return Err(format!("{user} got {text}"));
        }
        self.is_on_the_disk(&asked)?;
        let now = self.passed / SECOND;
        let listed = text.split("\r\n").filter_map(|line| line.strip_prefix("Contact: <")).filter_map(|line| {
            let (contact, rest) = line.split_once('>')?;
            let left: u64 = rest.strip_prefix(";expires=")?.split(';').next()?.parse().ok()?;
            Some((contact.to_owned(), now + left))
        });
        let listed: Bindings = listed.collect();
        self.asked.remove(&user);
        self.acknowledged += 1;
        if let Some(proof) = asked.proof.clone() {
            self.phones.entry(user.clone()).or_default().spend(proof);
        }
        self.model.told((&user, asked.sure), (&asked.contact, asked.expires, now - asked.at), listed, now)
    }

    /// If power were gone at this moment: the last record of the user has what is being told.
    fn is_on_the_disk(&self, asked: &Asked) -> Result<(), String> {
        let mut medium = self.disk.as_after_a_crash();
        let survey = Survey::take(&mut medium).map_err(|damage| damage.to_string())?;
        let wall = (self.ahead + self.passed) / SECOND;
        let mut last = None;
        for (_, bytes) in &survey.files {
            let mut at = FILE_HEAD;
            while let Found::Frame(head, payload) = FrameHead::read(bytes, at) {
                let shift = survey.shifts.get(&head.session).copied().unwrap_or(0);
                // What has ended by its time is gone without a record.
                let is_over = |expires: u32| {
                    let ends = i64::from(expires) + shift + i64::from(limits::registrar::GRACE_SECONDS);
                    ends <= i64::try_from(wall).unwrap() + 2
                };
                at += FRAME_HEAD + payload.len();
                let mut rest = payload;
                while let Some((entry, behind)) = Entry::read(rest) {
                    if entry.user == asked.user.as_bytes() {
                        let mut found = entry.bindings().filter(|one| one.contact == asked.contact.as_bytes());
                        last = Some(found.next().filter(|one| !is_over(one.expires)).map(|one| one.cseq));
                    }
                    rest = behind;
                }
            }
        }
        // A contact that never was is gone without a record.
        let wanted = (asked.expires > 0).then_some(asked.cseq);
        if last.unwrap_or(None) == wanted {
            return Ok(());
        }
        Err(format!("a 200 with CSeq {} for {} left while the disk has {last:?}", asked.cseq, asked.contact))
    }

    fn now(&self) -> Now {
        moment(1_000 * SECOND + self.passed - self.began, self.ahead + self.passed)
    }

    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    pub(crate) fn say(&self, what: &str) {
        if self.trace {
            println!("{:>10.3} {what}", std::time::Duration::from_micros(self.passed).as_secs_f64());
        }
    }
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// 200 to a request.
fn answer(request: &str) -> String {
    let keep = ["Via", "From", "To", "Call-ID", "CSeq"];
    let lines = request.split("\r\n").filter(|line| keep.contains(&line.split(':').next().unwrap_or_default()));
    let lines: Vec<_> =
        lines.map(|line| if line.starts_with("To:") { format!("{line};tag=t") } else { line.to_owned() }).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}
