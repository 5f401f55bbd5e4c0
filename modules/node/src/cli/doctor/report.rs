//! The findings for people, for programs, and as a script.

use super::finding::{Finding, Severity};
use serde_json::{Value, json};
use std::fmt::Write;

/// Columns that prose is folded to.
const WIDTH: usize = 100;

/// Findings in their groups, in the order of the checks.
pub(super) type Groups = Vec<(&'static str, Vec<Finding>)>;

fn all(groups: &Groups) -> impl Iterator<Item = &Finding> {
    groups.iter().flat_map(|(_, findings)| findings)
}

/// How many findings a script has to be told.
pub(super) fn count(groups: &Groups) -> usize {
    all(groups).filter(|finding| finding.counts()).count()
}

/// For people. `subject`: what the host was held against.
pub(super) fn text(subject: &str, groups: &Groups, colour: bool) -> String {
    let mut text = format!("{subject}\n");
    for (title, findings) in groups {
        let _ = writeln!(text, "\n{title}");
        for finding in findings {
            show(finding, colour, &mut text);
        }
    }
    let number = |severity| all(groups).filter(|finding| finding.severity == severity).count();
    let (lost, slow, notes) = (number(Severity::Loss), number(Severity::Slow), number(Severity::Note));
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let verdict = match lost + slow {
        0 => "no findings: nothing costs calls".to_owned(),
        both => {
            let (lose, make) = (if lost == 1 { "loses" } else { "lose" }, if slow == 1 { "makes" } else { "make" });
            format!("{}: {lost} {lose} calls, {slow} {make} them dearer", plural(both, "finding"))
        }
    };
    let _ = writeln!(text, "\n{verdict}; {}", plural(notes, "note"));
    if all(groups).any(|finding| finding.counts() && !finding.commands.is_empty()) {
        text.push_str("`tandem doctor --print-script` prints the commands; nothing has been changed\n");
    }
    text
}

fn show(finding: &Finding, colour: bool, text: &mut String) {
    let (word, paint) = match finding.severity {
        Severity::Fine => ("ok", "32"),
        Severity::Note => ("note", "36"),
        Severity::Slow => ("slow", "33"),
        Severity::Loss => ("LOSS", "31;1"),
    };
    let word = if colour { format!("\u{1b}[{paint}m{word:<4}\u{1b}[0m") } else { format!("{word:<4}") };
    let _ = writeln!(text, "  {word}  {}", fold(&finding.figure, 8));
    for (label, words) in [("why", &finding.why), ("remedy", &finding.remedy)] {
        if !words.is_empty() {
            let _ = writeln!(text, "        {label:<6}  {}", fold(words, 16));
        }
    }
    for command in &finding.commands {
        let _ = writeln!(text, "                  {command}");
    }
}

/// Words in lines that start at column `indent`; the first line's start is written already.
fn fold(words: &str, indent: usize) -> String {
    let mut folded = String::new();
    let mut column = indent;
    for word in words.split(' ') {
        // WHY: names of cards and rules come from the host, and must not write on somebody's terminal.
        let word: String = word.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let length = word.chars().count();
        if folded.is_empty() {
            column += length;
        } else if column + 1 + length > WIDTH {
            let _ = write!(folded, "\n{:indent$}", "");
            column = indent + length;
        } else {
            folded.push(' ');
            column += 1 + length;
        }
        folded.push_str(&word);
    }
    folded
}

/// For programs.
pub(super) fn json(subject: &str, groups: &Groups) -> Value {
    let findings: Vec<Value> = groups
        .iter()
        .flat_map(|(title, findings)| findings.iter().map(move |finding| (title, finding)))
        .map(|(title, finding)| {
            let mut object = json!(finding);
            object["group"] = (*title).into();
            object
        })
        .collect();
    json!({ "subject": subject, "findings": findings, "count": count(groups) })
}

/// A shell script of all commands, each with its reason. What no command can do stands in it as a comment.
pub(super) fn script(subject: &str, groups: &Groups) -> String {
    let mut script = String::from(
        "#!/bin/sh\n# What `tandem doctor` would change on this host, and why. Read it before you run it, as root.\n",
    );
    comment(&mut script, subject);
    script.push_str("set -eu\n");
    let mut numbered = 0;
    for finding in all(groups).filter(|finding| finding.counts() || !finding.commands.is_empty()) {
        numbered += 1;
        script.push('\n');
        comment(&mut script, &format!("{numbered}. {}", finding.figure));
        comment(&mut script, &format!("Why: {}", finding.why));
        comment(&mut script, &format!("Remedy: {}", finding.remedy));
        if finding.commands.is_empty() {
            comment(&mut script, "(by hand)");
        }
        for command in &finding.commands {
            let _ = writeln!(script, "{command}");
        }
    }
    if numbered == 0 {
        script.push_str("\n# Nothing to do.\n");
    }
    script
}

fn comment(script: &mut String, words: &str) {
    for line in fold(words, 2).lines() {
        let _ = writeln!(script, "# {}", line.trim_start());
    }
}
