//! What is wrong with a configuration: findings, and how they are shown.
//!
//! A [`Finding`] is made by [`crate::read`] (shape and bounds) and [`crate::check`] (sense);
//! [`Diagnostics`] is all that was found in one file, and renders itself for people (like a
//! compiler: file, line, the line itself, a caret, what to write) and for programs (JSON).

use crate::read::masked_source;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not do what its author thinks.
    Warning,
}

/// One thing that is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Error or warning.
    pub severity: Severity,
    /// Stable name of the rule, for programs and for searching: `unknown-key`.
    pub rule: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Bytes of the file it is about; `None` when the file as a whole is.
    pub place: Option<Range<usize>>,
    /// Said beside the caret.
    pub label: String,
    /// Other places that belong to it, each with what it has to do with it.
    pub related: Vec<(Range<usize>, String)>,
    /// What to write.
    pub remedy: String,
}

impl Finding {
    /// An error at `place`.
    pub(crate) fn error(rule: &'static str, place: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Finding {
            severity: Severity::Error,
            rule,
            message: message.into(),
            place,
            label: String::new(),
            related: Vec::new(),
            remedy: String::new(),
        }
    }

    /// A warning at `place`.
    pub(crate) fn warning(rule: &'static str, place: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Finding { severity: Severity::Warning, ..Finding::error(rule, place, message) }
    }

    /// Says `label` beside the caret.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place too; without effect when the file has no such place.
    pub(crate) fn related(mut self, place: Option<Range<usize>>, label: impl Into<String>) -> Self {
        if let Some(place) = place {
            self.related.push((place, label.into()));
        }
        self
    }

    /// Says what to write.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Everything that was found in one file, in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// Name of the file, as it was given.
    pub file: String,
    /// Its text; empty when it could not be read.
    pub source: Arc<str>,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Diagnostics {
    pub(crate) fn new(file: &str, source: Arc<str>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.place.as_ref().map_or(usize::MAX, |place| place.start));
        findings.dedup();
        Diagnostics { file: file.to_owned(), source, findings }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.findings.len() - self.errors()
    }

    /// For people: each finding with its line and a caret, then a line that counts them.
    /// `colour` adds terminal escapes.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        // WHY: a message goes into logs and tickets.
        let shown = masked_source(&self.source);
        let mut text = String::new();
        for finding in &self.findings {
            text.push_str(&renderer.render(&[self.group(finding, &shown)]));
            text.push_str("\n\n");
        }
        text.push_str(&self.count());
        text.push('\n');
        text
    }

    fn group<'a>(&'a self, finding: &'a Finding, source: &'a str) -> Group<'a> {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(finding.message.as_str()).id(finding.rule);
        let remedy = (!finding.remedy.is_empty()).then(|| Level::HELP.message(finding.remedy.as_str()));
        let Some(place) = &finding.place else {
            let origin = annotate_snippets::Origin::path(self.file.as_str());
            return title.element(origin).elements(remedy);
        };
        let primary = AnnotationKind::Primary.span(self.visible(place));
        let primary = if finding.label.is_empty() { primary } else { primary.label(finding.label.as_str()) };
        let related = finding
            .related
            .iter()
            .map(|(place, label)| AnnotationKind::Context.span(self.visible(place)).label(label.as_str()));
        let snippet = Snippet::source(source).path(self.file.as_str()).annotation(primary).annotations(related);
        title.element(snippet).elements(remedy)
    }

    /// The part of `place` on its first line: a caret under a whole table helps nobody.
    fn visible(&self, place: &Range<usize>) -> Range<usize> {
        let start = place.start.min(self.source.len());
        let end = place.end.clamp(start, self.source.len());
        let text = self.source.get(start..end).unwrap_or_default();
        let first_line = text.lines().next().unwrap_or_default().trim_end();
        start..start + first_line.len()
    }

    fn count(&self) -> String {
        let plural = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        let file = &self.file;
        match (self.errors(), self.warnings()) {
            (0, 0) => format!("{file}: nothing found"),
            (0, warnings) => format!("{file}: {}", plural(warnings, "warning")),
            (errors, 0) => format!("{file}: {}", plural(errors, "error")),
            (errors, warnings) => format!("{file}: {}, {}", plural(errors, "error"), plural(warnings, "warning")),
        }
    }

    /// For programs: one object with `file`, `errors`, `warnings` and `findings`; lines and columns
    /// count from 1, columns in characters.
    pub fn to_json(&self) -> serde_json::Value {
        let findings: Vec<_> = self.findings.iter().map(|finding| self.finding_json(finding)).collect();
        serde_json::json!({
            "file": self.file,
            "errors": self.errors(),
            "warnings": self.warnings(),
            "findings": findings,
        })
    }

    fn finding_json(&self, finding: &Finding) -> serde_json::Value {
        let position = finding.place.as_ref().map(|place| self.line_and_column(place.start));
        let related: Vec<_> = finding
            .related
            .iter()
            .map(|(place, label)| {
                let (line, column) = self.line_and_column(place.start);
                serde_json::json!({ "line": line, "column": column, "message": label })
            })
            .collect();
        serde_json::json!({
            "severity": match finding.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "rule": finding.rule,
            "message": finding.message,
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "label": finding.label,
            "remedy": finding.remedy,
            "related": related,
        })
    }

    /// Line and column of a byte of the file, both from 1.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.source.get(..offset).unwrap_or(&self.source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
