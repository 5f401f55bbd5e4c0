//! The authenticator as a client sees it: challenged, proven, refused, under a clock of our own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use proto::time::Wall;

const PASSWORD: &[u8] = b"s3cret";

struct Rig {
    authenticator: Authenticator,
    realm: Realm,
    seconds: u64,
    cseq: u32,
    /// The user has a binding where its requests come from.
    home: bool,
}

/// What a client has of a challenge.
#[derive(Clone)]
struct Client {
    username: &'static [u8],
    password: &'static [u8],
    nonce: Vec<u8>,
    nc: String,
    algorithm: Algorithm,
    source: SocketAddr,
}

fn from(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 5060))
}

impl Rig {
    fn new() -> Self {
        let rules = guard::Rules {
            user_failures_max: 5,
            source_failures_max: 20,
            forgotten_after: Micros::from_secs(600),
            ban: Micros::from_secs(60),
            ban_max: Micros::from_secs(3_600),
            questions_per_second: 10,
            questions_burst: 50,
        };
        let secret = Secret([5; 16]);
        let setup = Setup {
            nonce_secrets: vec![Secret([4; 16])],
            boot_secret: secret,
            seed: 1,
            accounts: 1_024,
            failures: 1_024,
            rules,
            living: Arc::new(Living::new(secret)),
        };
        let realm = Realm {
            domain: (*b"example.com").into(),
            name: (*b"example.com").into(),
            offered: Algorithm::ALL.to_vec(),
            nonce_lifetime: Micros::from_secs(300),
            lifetimes: Lifetimes { known: Micros::from_secs(300), unknown: Micros::from_secs(30) },
        };
        Rig { authenticator: Authenticator::new(setup, at(0)), realm, seconds: 10, cseq: 0, home: false }
    }

    /// A client that was challenged just now.
    fn client(&mut self, username: &'static [u8], password: &'static [u8], source: SocketAddr) -> Client {
        let text = self.challenge(source, false);
        let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().as_bytes().to_vec();
        Client { username, password, nonce, nc: "00000001".into(), algorithm: Algorithm::Md5, source }
    }

    fn challenge(&mut self, source: SocketAddr, stale: bool) -> String {
        let mut text = [0; 1_024];
        let mut writer = Writer::new(&mut text);
        let now = at(self.seconds);
        self.authenticator.write_challenge(&mut writer, Asker::Server, &self.realm, source.ip(), stale, now);
        let len = writer.finish().unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    }

    /// A REGISTER of a new CSeq.
    fn register(&mut self, client: &Client, said: Option<Said>) -> Decision {
        self.cseq += 1;
        self.repeat(client, said)
    }

    /// A REGISTER of the last CSeq once more.
    fn repeat(&mut self, client: &Client, said: Option<Said>) -> Decision {
        let ha1 = proof::ha1(client.algorithm, client.username, b"example.com", client.password).hex();
        let ha2 = client.algorithm.hash(&[b"REGISTER", b"sip:example.com"]).hex();
        let parts: [&[u8]; 6] = [ha1.as_bytes(), &client.nonce, client.nc.as_bytes(), b"cn", b"auth", ha2.as_bytes()];
        let response = client.algorithm.hash(&parts).hex();
        let credentials = DigestCredentials {
            username: client.username,
            realm: b"example.com",
            nonce: &client.nonce,
            uri: b"sip:example.com",
            response: response.as_bytes(),
            algorithm: client.algorithm.token().as_bytes(),
            cnonce: b"cn",
            qop: b"auth",
            nc: client.nc.as_bytes(),
            opaque: b"",
        };
        let (source, cseq) = (client.source, self.cseq);
        let asked = Asked { credentials: Some(credentials), method: b"REGISTER", source, call_id: b"c1", cseq };
        match said {
            None => self.authenticator.examine(&self.realm, &asked, &|| self.home, at(self.seconds)),
            Some(said) => self.authenticator.examine_again(&self.realm, &asked, said, &|| self.home, at(self.seconds)),
        }
    }

    fn unauthenticated(&mut self, source: SocketAddr) -> Decision {
        let asked = Asked { credentials: None, method: b"REGISTER", source, call_id: b"c1", cseq: 1 };
        self.authenticator.examine(&self.realm, &asked, &|| self.home, at(self.seconds))
    }
}

fn at(seconds: u64) -> Now {
    Now { mono: Mono(seconds * 1_000_000), wall: Wall((1_700_000_000 + seconds) * 1_000_000) }
}

fn known(password: &[u8]) -> Option<Said> {
    Some(Said::Known(Ha1s::of_password(b"alice", b"example.com", password)))
}

const PROVEN: Decision = Decision::Proven { again: false };
const STALE: Decision = Decision::Challenge { stale: true };

#[test]
fn a_client_is_challenged_asked_for_once_and_then_known() {
    let mut rig = Rig::new();
    assert_eq!(rig.unauthenticated(from(1)), Decision::Challenge { stale: false });
    let mut alice = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&alice, None), Decision::Ask);
    assert_eq!(rig.repeat(&alice, known(PASSWORD)), PROVEN);
    assert_eq!(rig.repeat(&alice, None), Decision::Proven { again: true }, "a retransmission");
    assert_eq!(rig.register(&alice, None), STALE, "the count was used by another request");
    for nc in ["00000002", "0000000a", "00000003"] {
        alice.nc = nc.into();
        assert_eq!(rig.register(&alice, None), PROVEN);
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512_256] {
        let other = Client { algorithm, ..rig.client(b"alice", PASSWORD, from(1)) };
        assert_eq!(rig.register(&other, None), PROVEN);
    }
    let figures = rig.authenticator.figures();
    assert_eq!((figures.asked, figures.proven, figures.stale, figures.challenged), (1, 7, 1, 1));
}

#[test]
fn a_nonce_that_cannot_be_used_is_stale_and_no_failure() {
    let mut rig = Rig::new();
    let alice = rig.client(b"alice", PASSWORD, from(1));
    let elsewhere = Client { source: from(2), ..alice.clone() };
    assert_eq!(rig.register(&elsewhere, None), STALE);
    let forged = Client { nonce: b"x".to_vec(), ..alice.clone() };
    assert_eq!(rig.register(&forged, None), STALE);
    rig.seconds += 301;
    assert_eq!(rig.register(&alice, None), STALE);
    assert!(rig.challenge(from(1), true).ends_with(", qop=\"auth\", stale=true\r\n"));
    assert_eq!(
        (rig.authenticator.figures().failed, rig.authenticator.guard().bans(at(rig.seconds).mono).count()),
        (0, 0)
    );
}

#[test]
fn the_challenge_offers_the_domains_algorithms_in_its_order() {
    let mut rig = Rig::new();
    let text = rig.challenge(from(1), false);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    for (line, algorithm) in lines.iter().zip(["MD5", "SHA-256", "SHA-512-256"]) {
        assert!(line.starts_with("WWW-Authenticate: Digest realm=\"example.com\", nonce=\""), "{line}");
        assert!(line.ends_with(&format!("\", algorithm={algorithm}, qop=\"auth\"")), "{line}");
    }
    assert_ne!(text, rig.challenge(from(1), false), "each has a nonce of its own");
}

/// Everything that a client sees of a user that there is and one that there is not is the same, at every step.
#[test]
fn known_and_unknown_users_go_the_same_way() {
    let trace = |said: fn() -> Option<Said>, at_work: bool| {
        let mut rig = Rig::new();
        if at_work {
            let alice = rig.client(b"alice", PASSWORD, from(9));
            assert_eq!(rig.register(&alice, None), Decision::Ask);
            assert_eq!(rig.repeat(&alice, said()), PROVEN);
        }
        let mut seen = Vec::new();
        for wait in [0, 1, 20, 25, 3, 200, 100, 1, 400, 1, 1, 1, 1, 1] {
            rig.seconds += wait;
            let wrong = rig.client(b"alice", b"guess", from(1));
            let first = rig.register(&wrong, None);
            seen.push(first);
            if first == Decision::Ask {
                seen.push(rig.repeat(&wrong, said()));
            }
        }
        seen
    };
    let unknown = trace(|| Some(Said::Unknown), false);
    assert_eq!(unknown, trace(|| known(PASSWORD), false));
    assert_eq!(unknown, trace(|| known(PASSWORD), true), "while the user is at work, too");
    assert!(
        unknown.contains(&Decision::Ask) && unknown.contains(&Decision::Failed) && unknown.contains(&Decision::ShutOut)
    );
}

#[test]
fn a_new_password_holds_at_once() {
    let mut rig = Rig::new();
    let old = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&old, None), Decision::Ask);
    assert_eq!(rig.repeat(&old, known(PASSWORD)), PROVEN);
    let new = rig.client(b"alice", b"changed", from(1));
    assert_eq!(rig.register(&new, None), Decision::Ask, "it may have changed");
    assert_eq!(rig.repeat(&new, known(b"changed")), PROVEN);
    let old = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&old, None), Decision::Ask);
    assert_eq!(rig.repeat(&old, known(b"changed")), Decision::Failed);
}

#[test]
fn guessing_is_shut_out_and_the_user_works_on_elsewhere() {
    let mut rig = Rig::new();
    let alice = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&alice, None), Decision::Ask);
    assert_eq!(rig.repeat(&alice, known(PASSWORD)), PROVEN);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let guess = rig.client(b"alice", b"guess", from(2));
        let decision = rig.register(&guess, None);
        seen.push(if decision == Decision::Ask { rig.repeat(&guess, known(PASSWORD)) } else { decision });
    }
    assert_eq!(seen, [[Decision::Failed; 5].as_slice(), &[Decision::ShutOut; 3]].concat());
    let alice = Client { nc: "00000002".into(), ..alice };
    assert_eq!(rig.register(&alice, None), PROVEN);
    let right = rig.client(b"alice", PASSWORD, from(2));
    assert_eq!(rig.register(&right, None), Decision::ShutOut);
    rig.seconds += 60;
    assert_eq!(rig.register(&right, None), PROVEN);
}

#[test]
fn a_flood_of_unknown_users_ends_in_its_budget() {
    let mut rig = Rig::new();
    let names: Vec<&'static [u8]> =
        (0..200).map(|n| &*Box::leak(format!("u{n}").into_bytes().into_boxed_slice())).collect();
    let mut asked = 0;
    for name in names {
        let client = rig.client(name, b"x", from(3));
        asked += usize::from(rig.register(&client, None) == Decision::Ask);
    }
    assert_eq!(asked, 50);
    let alice = rig.client(b"alice", PASSWORD, from(4));
    assert_eq!(rig.register(&alice, None), Decision::Ask, "others may still ask");
}

#[test]
fn a_source_that_judges_itself_is_believed_but_not_remembered() {
    let mut rig = Rig::new();
    let mut alice = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&alice, None), Decision::Ask);
    assert_eq!(rig.repeat(&alice, Some(Said::Judged(true))), PROVEN);
    alice.nc = "00000002".into();
    assert_eq!(rig.register(&alice, None), Decision::Ask);
    assert_eq!(rig.repeat(&alice, Some(Said::Judged(false))), Decision::Failed);
}

/// Failures from the same address, of another port of an office, say: the phone itself is not touched, nor has it to have
/// been heard of since a restart.
#[test]
fn a_user_is_not_shut_out_where_it_is_registered() {
    let mut rig = Rig::new();
    let known = || Said::Known(Ha1s::of_password(b"alice", b"example.com", PASSWORD));
    let guess = rig.client(b"alice", b"wrong", from(1));
    (0..5).for_each(|_| assert_eq!(rig.register(&guess, Some(known())), Decision::Failed));
    assert_eq!(rig.register(&guess, None), Decision::ShutOut);
    let right = rig.client(b"alice", PASSWORD, from(1));
    assert_eq!(rig.register(&right, None), Decision::ShutOut);
    rig.home = true;
    assert_eq!(rig.register(&right, None), Decision::Proven { again: false });
}
