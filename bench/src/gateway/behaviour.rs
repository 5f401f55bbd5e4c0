//! What gateways do with calls, from TOML or flags.
//!
//! ```toml
//! [[gateway]]                       # one section a gateway; without `listen` it holds for all others
//! listen = "127.0.0.1:5071"
//! trying = true                     # a 100 at once
//! drop = 0.05                       # share of arriving datagrams that is thrown away
//! outages = [{ at = "5s", lasts = "4s" }]   # dead and silent for a while
//! outcomes = [
//!   { share = 60, ring_after = "20ms", answer_after = "200ms", hold = "2s" },
//!   { share = 20, reject = 404 },
//!   { share = 15, ring_after = "20ms", early_media = true, ring_out = true },
//!   { share = 5, silent = true },
//! ]
//! ```
//!
//! `ring_after`, `answer_after` and `reject_after` count from the INVITE. With `hold` the gateway
//! hangs up; without it the caller does.

use std::{net::SocketAddr, time::Duration};

use proto::time::Micros;
use serde::Deserialize;

use crate::duration::{self, micros};

/// One gateway's ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// Sends 100 at once.
    pub trying: bool,
    /// Share of arriving datagrams that is thrown away, 0 to 1.
    pub drop: f64,
    /// Times at which it is dead.
    pub outages: Vec<Outage>,
    /// What becomes of a call; the shares need not add up to anything.
    pub outcomes: Vec<Outcome>,
}

/// A time in which everything that arrives is thrown away, after the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Begin.
    #[serde(deserialize_with = "duration::deserialize")]
    pub at: Duration,
    /// Length.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lasts: Duration,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Weight among the outcomes of this gateway.
    pub share: f64,
    /// A 180 (or 183) this long after the INVITE.
    pub ring_after: Option<Micros>,
    /// 183 with a session description in place of 180.
    pub early_media: bool,
    /// The end.
    pub end: End,
}

/// How an INVITE ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// 200 after this time; with a hold, the gateway hangs up after it.
    Answer {
        /// After the INVITE.
        after: Micros,
        /// Length of the call; `None`: the caller hangs up.
        hold: Option<Micros>,
    },
    /// A failure after this time.
    Reject {
        /// Status code, 300 to 699.
        code: u16,
        /// After the INVITE.
        after: Micros,
    },
    /// Nothing more: it rings until somebody cancels.
    RingOut,
    /// Not a word, not even 100.
    Silent,
}

impl Default for Behaviour {
    /// Answers at once, as the benchmark's call does: 100, 180, 200.
    fn default() -> Self {
        Behaviour {
            trying: true,
            drop: 0.0,
            outages: Vec::new(),
            outcomes: vec![Outcome {
                share: 1.0,
                ring_after: Some(Micros(0)),
                early_media: false,
                end: End::Answer { after: Micros(0), hold: None },
            }],
        }
    }
}

impl Behaviour {
    /// Answers every INVITE with `code` and nothing before it.
    pub fn reject(code: u16) -> Self {
        Behaviour {
            trying: false,
            outcomes: vec![Outcome {
                share: 1.0,
                ring_after: None,
                early_media: false,
                end: End::Reject { code, after: Micros(0) },
            }],
            ..Behaviour::default()
        }
    }

    /// A gateway of a wholesale carrier, so that a caller who tries four of them gets about 35 %
    /// answered: most attempts move on with 503, some end with 404 or 486, some ring for ever.
    pub fn wholesale() -> Self {
        let ms = Micros::from_millis;
        let outcome = |share, ring_after, early_media, end| Outcome { share, ring_after, early_media, end };
        let reject = |code, after| End::Reject { code, after: ms(after) };
        let answer = |after| End::Answer { after: ms(after), hold: None };
        // With m = 0.45 moving on, four attempts see 1 + m + m² + m³ = 1.744 gateways, and
        // 0.20 · 1.744 = 35 % are answered.
        Behaviour {
            outcomes: vec![
                outcome(10.0, Some(ms(50)), false, answer(300)),
                outcome(10.0, Some(ms(50)), true, answer(300)),
                outcome(45.0, None, false, reject(503, 5)),
                outcome(10.0, None, false, reject(404, 20)),
                outcome(10.0, Some(ms(50)), false, reject(486, 150)),
                outcome(15.0, Some(ms(50)), true, End::RingOut),
            ],
            ..Behaviour::default()
        }
    }

    /// Draws what becomes of a call; `random` is in 0..1.
    pub fn draw(&self, random: f64) -> Option<&Outcome> {
        let whole: f64 = self.outcomes.iter().map(|outcome| outcome.share).sum();
        let mut left = random * whole;
        for outcome in &self.outcomes {
            left -= outcome.share;
            if left < 0.0 {
                return Some(outcome);
            }
        }
        self.outcomes.last()
    }

    /// Whether calls end from this side.
    pub fn hangs_up(&self) -> bool {
        self.outcomes.iter().any(|outcome| matches!(outcome.end, End::Answer { hold: Some(_), .. }))
    }

    /// Whether the gateway is dead `since` its start.
    pub fn is_out(&self, since: Micros) -> bool {
        self.outages.iter().any(|outage| {
            let at = micros(outage.at);
            since >= at && since.0 < at.0.saturating_add(micros(outage.lasts).0)
        })
    }
}

/// The behaviours of a file.
#[derive(Debug, Default)]
pub struct Behaviours {
    by_address: Vec<(SocketAddr, Behaviour)>,
    other: Option<Behaviour>,
}

/// Why a file of behaviours is refused.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    /// Not TOML, or not our keys.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// TOML, but without sense.
    #[error("gateway {0}: {1}")]
    Sense(String, &'static str),
}

impl Behaviours {
    /// Reads a file's text.
    pub fn read(text: &str) -> Result<Self, BehaviourError> {
        let file: File = toml::from_str(text)?;
        let mut all = Behaviours::default();
        for section in file.gateway {
            let name = section.listen.map_or_else(|| "(all others)".to_owned(), |listen| listen.to_string());
            let listen = section.listen;
            let behaviour = section.behaviour().map_err(|why| BehaviourError::Sense(name.clone(), why))?;
            let twice = match listen {
                Some(listen) => {
                    let known = all.by_address.iter().any(|(known, _)| *known == listen);
                    all.by_address.push((listen, behaviour));
                    known
                }
                None => all.other.replace(behaviour).is_some(),
            };
            if twice {
                return Err(BehaviourError::Sense(name, "stands twice in the file"));
            }
        }
        Ok(all)
    }

    /// Of the gateway at `listen`, or `otherwise` if the file says nothing about it.
    pub fn of(&self, listen: SocketAddr, otherwise: &Behaviour) -> Behaviour {
        self.by_address
            .iter()
            .find(|(address, _)| *address == listen)
            .map(|(_, behaviour)| behaviour)
            .or(self.other.as_ref())
            .unwrap_or(otherwise)
            .clone()
    }

    /// The addresses that have a section of their own.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.by_address.iter().map(|(address, _)| *address)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gateway: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    listen: Option<SocketAddr>,
    trying: Option<bool>,
    #[serde(default)]
    drop: f64,
    #[serde(default)]
    outages: Vec<Outage>,
    #[serde(default)]
    outcomes: Vec<OutcomeKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeKeys {
    share: Option<f64>,
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    ring_after: Option<Duration>,
    #[serde(default)]
    early_media: bool,
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    answer_after: Option<Duration>,
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    hold: Option<Duration>,
    reject: Option<u16>,
    #[serde(default, deserialize_with = "duration::deserialize_some")]
    reject_after: Option<Duration>,
    #[serde(default)]
    ring_out: bool,
    #[serde(default)]
    silent: bool,
}

impl Section {
    fn behaviour(self) -> Result<Behaviour, &'static str> {
        if !(0.0..=1.0).contains(&self.drop) {
            return Err("`drop` is a share from 0 to 1");
        }
        let mut behaviour = Behaviour {
            trying: self.trying.unwrap_or(true),
            drop: self.drop,
            outages: self.outages,
            ..Behaviour::default()
        };
        if !self.outcomes.is_empty() {
            behaviour.outcomes = self.outcomes.into_iter().map(OutcomeKeys::outcome).collect::<Result<_, _>>()?;
        }
        Ok(behaviour)
    }
}

impl OutcomeKeys {
    fn outcome(self) -> Result<Outcome, &'static str> {
        let share = self.share.unwrap_or(1.0);
        if !share.is_finite() || share <= 0.0 {
            return Err("a `share` is a number over 0");
        }
        let ends =
            [self.answer_after.is_some() || self.hold.is_some(), self.reject.is_some(), self.ring_out, self.silent];
        if ends.iter().filter(|end| **end).count() > 1 {
            return Err("an outcome is one of answer, `reject`, `ring_out` and `silent`");
        }
        if self.silent && self.ring_after.is_some() {
            return Err("`silent` does not ring");
        }
        if self.reject_after.is_some() && self.reject.is_none() {
            return Err("`reject_after` needs `reject`");
        }
        let end = match self.reject {
            Some(code) if (300..700).contains(&code) => {
                End::Reject { code, after: self.reject_after.map_or(Micros(0), micros) }
            }
            Some(_) => return Err("`reject` is a code from 300 to 699"),
            None if self.ring_out => End::RingOut,
            None if self.silent => End::Silent,
            None => End::Answer { after: self.answer_after.map_or(Micros(0), micros), hold: self.hold.map(micros) },
        };
        let ring_after = self.ring_after.map(micros);
        Ok(Outcome {
            share,
            ring_after: ring_after.or(self.ring_out.then_some(Micros(0))),
            early_media: self.early_media,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn only(text: &str) -> Behaviour {
        let listen = "127.0.0.1:5071".parse().unwrap();
        Behaviours::read(text).unwrap().of(listen, &Behaviour::default())
    }

    #[test]
    fn the_example_at_the_top_is_read() {
        let example: String = include_str!("behaviour.rs")
            .lines()
            .skip_while(|line| !line.ends_with("```toml"))
            .skip(1)
            .take_while(|line| !line.ends_with("```"))
            .map(|line| line.trim_start_matches("//!").to_owned() + "\n")
            .collect();
        let behaviour = only(&example);
        assert_eq!(behaviour.outcomes.len(), 4);
        assert_eq!(behaviour.outcomes[0].end, End::Answer { after: Micros(200_000), hold: Some(Micros(2_000_000)) });
        assert!(!behaviour.is_out(Micros(4_999_999)));
        assert!(behaviour.is_out(Micros(5_000_000)));
        assert!(!behaviour.is_out(Micros(9_000_000)));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, part) in [
            ("[[gateway]]\ndrop = 1.5", "share from 0 to 1"),
            ("[[gateway]]\noutcomes=[{reject=200}]", "300 to 699"),
            ("[[gateway]]\noutcomes=[{reject=404,silent=true}]", "one of answer"),
            ("[[gateway]]\n[[gateway]]", "twice"),
            ("[[gateway]]\nanswer = 1", "unknown field"),
            ("[[gateway]]\noutages=[{at=\"5\",lasts=\"1s\"}]", "length of time"),
        ] {
            let error = Behaviours::read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn shares_are_drawn_as_weighted() {
        let behaviour = Behaviour::wholesale();
        let mut answered = 0;
        for n in 0..1000 {
            let outcome = behaviour.draw(f64::from(n) / 1000.0).unwrap();
            answered += u32::from(matches!(outcome.end, End::Answer { .. }));
        }
        assert_eq!(answered, 200);
    }
}
