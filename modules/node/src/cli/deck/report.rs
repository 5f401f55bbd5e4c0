//! Findings, statistics and changes of a deck, for people and as JSON.

use crate::deck_files::source::{DeckFile, LoadedDeck};
use deck::compare::{Changes, Refusal, Statistics};
use deck::read::{Finding, Findings, Weight};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What is known about a deck that was read.
pub(super) struct Report<'r> {
    pub(super) name: &'r str,
    pub(super) findings: &'r [(PathBuf, Findings)],
    pub(super) statistics: Statistics,
    pub(super) changes: Option<Changes>,
    /// Why it would not go live.
    pub(super) refusals: Vec<Refusal>,
}

const fn weight(finding: &Finding) -> &'static str {
    match finding.odd.weight() {
        Weight::Warning => "warning",
        Weight::Error => "error",
    }
}

/// `warning[bad-code]: file.csv, line 3: …`, a line each, at most `most` of a file.
pub(super) fn findings(path: &Path, findings: &Findings, most: usize) -> String {
    let mut text = String::new();
    for finding in findings.kept.iter().take(most) {
        let _ = writeln!(text, "{}[{}]: {}: {finding}", weight(finding), finding.odd.label(), path.display());
    }
    let shown = findings.kept.len().min(most) as u64;
    let all = findings.errors + findings.warnings;
    if all > shown {
        let _ = writeln!(text, "{}: {} more", path.display(), all - shown);
    }
    text
}

impl<'r> Report<'r> {
    /// Of a deck as it was loaded, and what it changes of the one in force, at a moment (Unix seconds).
    pub(super) fn of(deck: &'r DeckFile, loaded: &'r LoadedDeck, changes: Option<Changes>, at: i64) -> Self {
        let rows = &loaded.source.rows;
        let nothing_before = Changes::default();
        let guarded = changes.as_ref().unwrap_or(&nothing_before).guard(rows, deck.full);
        let mut report = Report {
            name: &deck.settings.name,
            findings: &loaded.findings,
            statistics: Statistics::of(rows, at),
            refusals: guarded.err().into_iter().collect(),
            changes,
        };
        if report.errors() > 0 {
            report.refusals.push(Refusal::Odd(report.errors()));
        }
        report
    }

    pub(super) fn errors(&self) -> u64 {
        self.findings.iter().map(|(_, findings)| findings.errors).sum()
    }

    pub(super) fn text(&self) -> String {
        let figures = &self.statistics;
        let mut text = format!(
            "{}: {} rows, {} codes, {} destinations; in force {} priced, {} closed; {} not yet, {} past\n",
            self.name,
            figures.rows,
            figures.codes,
            figures.destinations,
            figures.priced,
            figures.closed,
            figures.future,
            figures.past
        );
        if let Some([low, median, high]) = figures.prices {
            let _ = writeln!(text, "  prices in force: lowest {low}, median {median}, highest {high}");
        }
        if let Some(changes) = &self.changes {
            let _ = writeln!(
                text,
                "  against the one in force ({} codes): {} new, {} gone, {} closed, {} opened, {} dearer, {} cheaper, {} as before",
                changes.before,
                changes.added,
                changes.removed,
                changes.closed,
                changes.opened,
                changes.dearer,
                changes.cheaper,
                changes.same
            );
            for (code, was, is) in &changes.moves {
                let _ = writeln!(text, "    {code}: {was} -> {is}");
            }
        }
        for refusal in &self.refusals {
            let _ = writeln!(text, "  refused unless forced: {refusal}");
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let figures = &self.statistics;
        let list = |path: &PathBuf, findings: &Findings| -> Vec<Value> {
            let one = |finding: &Finding| {
                json!({
                    "file": path, "line": finding.line, "severity": weight(finding), "rule": finding.odd.label(),
                    "message": finding.odd.message(), "value": finding.value, "remedy": finding.odd.remedy(),
                })
            };
            findings.kept.iter().map(one).collect()
        };
        json!({
            "deck": self.name,
            "findings": self.findings.iter().flat_map(|(path, findings)| list(path, findings)).collect::<Vec<_>>(),
            "errors": self.errors(),
            "warnings": self.findings.iter().map(|(_, findings)| findings.warnings).sum::<u64>(),
            "statistics": {
                "rows": figures.rows, "codes": figures.codes, "destinations": figures.destinations,
                "priced": figures.priced, "closed": figures.closed, "future": figures.future, "past": figures.past,
                "prices": figures.prices.map(|prices| prices.map(|price| price.to_string())),
            },
            "changes": self.changes.as_ref().map(|changes| json!({
                "before": changes.before, "added": changes.added, "removed": changes.removed, "closed": changes.closed,
                "opened": changes.opened, "dearer": changes.dearer, "cheaper": changes.cheaper, "same": changes.same,
                "far": changes.far,
                "moves": changes.moves.iter().map(|(code, was, is)| {
                    json!({ "code": code.to_string(), "before": was.to_string(), "after": is.to_string() })
                }).collect::<Vec<_>>(),
            })),
            "refused": self.refusals.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}
