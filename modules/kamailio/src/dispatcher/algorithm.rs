//! Kamailio's algorithms by number, and what stands for them.

use super::DestinationSet;
use crate::report::Report;

/// What a set becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Its word in the TOML.
    pub word: &'static str,
    /// By destination: its weight; empty: the algorithm reads none.
    pub weights: Vec<u32>,
    /// By destination: its priority; empty: the algorithm reads none.
    pub priorities: Vec<u32>,
    /// It hashes, and can do so as Kamailio does.
    pub hashes: bool,
}

impl Chosen {
    const fn plain(word: &'static str) -> Self {
        Chosen { word, weights: Vec::new(), priorities: Vec::new(), hashes: false }
    }

    fn hash(word: &'static str) -> Self {
        Chosen { hashes: true, ..Chosen::plain(word) }
    }

    /// What stands for an algorithm of Kamailio in this set.
    pub fn of(number: i64, set: &DestinationSet, subject: &str, report: &mut Report) -> Self {
        let weighted = set.destinations.iter().any(|one| one.attribute("weight").is_some());
        if weighted && !matches!(number, 9 | 15) {
            let text = format!(
                "algorithm {number} never read the weights of its gateways, and they are left out: {}",
                says(number)
            );
            report.otherwise(subject, text);
        }
        let count = set.destinations.len();
        match number {
            0 => Chosen::hash("hash-call-id"),
            1 => Chosen::hash("hash-caller"),
            2 => Chosen::hash("hash-callee"),
            3 => Chosen::hash("hash-request-uri"),
            4 => Chosen::plain("round-robin"),
            5 => {
                report.otherwise(
                    subject,
                    "algorithm 5 hashed the user name of a proof (and went round robin without one); by From here",
                );
                Chosen::plain("hash-caller")
            }
            6 => Chosen::plain("random"),
            7 => Chosen::hash("hash-variables"),
            8 | 14 => {
                if number == 14 {
                    report.otherwise(
                        subject,
                        "algorithm 14 goes round robin or in order, as the set's flag says at the time; in order here",
                    );
                }
                Chosen { priorities: (0..).take(count).collect(), ..Chosen::plain("priority") }
            }
            9 => Chosen { weights: shares(set, subject, report), ..Chosen::plain("weighted") },
            10 => {
                report.otherwise(subject, "algorithm 10 counted calls of one Kamailio alone, and only those of its `duid`s; all active calls count here");
                Chosen::plain("least-calls")
            }
            11 => {
                let weights: Vec<u32> = set.destinations.iter().map(|one| one.weight("rweight")).collect();
                if weights.iter().any(|weight| *weight > 0) {
                    Chosen { weights, ..Chosen::plain("weighted") }
                } else {
                    report.otherwise(
                        subject,
                        "algorithm 11 found no `rweight`, so that the first gateway had every call; spread evenly here",
                    );
                    Chosen::plain("round-robin")
                }
            }
            12 => Chosen::plain("parallel"),
            13 => {
                report.otherwise(subject, "algorithm 13 preferred gateways that answered OPTIONS quickly; round robin here, among those that are up");
                Chosen::plain("round-robin")
            }
            15 => {
                let weights = set.destinations.iter().map(|one| one.weight("weight")).collect();
                let highest = set.destinations.first().map_or(0, |one| one.priority);
                let priority =
                    |one: &super::Destination| u32::try_from(highest - one.priority).unwrap_or(u32::MAX).min(65_535);
                let priorities = set.destinations.iter().map(priority).collect();
                Chosen { weights, priorities, ..Chosen::plain("priority") }
            }
            64 => {
                report.otherwise(subject, "algorithm 64 went round robin, thinned by what gateways said of their load (RFC 7339); round robin here");
                Chosen::plain("round-robin")
            }
            other => {
                report.otherwise(
                    subject,
                    format!("algorithm {other} is none: Kamailio took the first gateway for every call; in order here"),
                );
                Chosen { priorities: (0..).take(count).collect(), ..Chosen::plain("priority") }
            }
        }
    }
}

fn says(number: i64) -> &'static str {
    match number {
        4 => "it is plain round robin, every gateway had the same share (9 is the one by weight)",
        10 => "it counts calls",
        11 => "it reads `rweight`",
        8 => "it takes the first that is up",
        _ => "only 9, and 15 within a priority, read `weight`",
    }
}

/// Shares of 100 calls as Kamailio deals them: the first gateways until 100 are dealt, what is left to the last one.
fn shares(set: &DestinationSet, subject: &str, report: &mut Report) -> Vec<u32> {
    let weights: Vec<u32> = set.destinations.iter().map(|one| one.weight("weight")).collect();
    if weights.first().is_none_or(|first| *first == 0) {
        let text = "the first gateway has no weight, which Kamailio takes as no weights at all: every call went to the first; \
                    so it is here, and the others take over when it fails";
        report.otherwise(subject, text);
        return (0..weights.len()).map(|at| u32::from(at == 0)).collect();
    }
    let mut left = 100;
    let mut shares: Vec<u32> = weights
        .iter()
        .map(|weight| {
            let share = (*weight).min(left);
            left -= share;
            share
        })
        .collect();
    let sum: u32 = weights.iter().sum();
    let last = set.destinations.last().map_or("", |one| one.uri.as_str());
    if let Some(share) = shares.last_mut().filter(|_| left > 0) {
        *share += left;
        report.otherwise(subject, format!("its weights add up to {sum}, and Kamailio gave the {left} that are missing to its last gateway {last}; so it is here"));
    }
    if sum > 100 {
        report.otherwise(
            subject,
            format!(
                "its weights add up to {sum}; Kamailio stopped dealing at 100, and so do the weights here: {shares:?}"
            ),
        );
    }
    shares
}
