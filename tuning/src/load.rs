//! From a file to a configuration: read, fill in, resolve, check.

use crate::check::check;
use crate::config::Config;
use crate::diagnostic::{Diagnostics, Finding, Severity};
use crate::environment::Environment;
use crate::read::{Marks, Reader};
use crate::resolve::{fill_in, resolve};
use crate::schema::{Section, print_file};
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration that may be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file says, completed by defaults.
    pub config: Config,
    /// What may not be meant so; no errors.
    pub warnings: Diagnostics,
    /// The file's text.
    pub source: Arc<str>,
    marks: Marks,
}

/// Largest configuration file in bytes.
const FILE_BYTES_MAX: usize = 16 << 20;

/// Reads the file at `path` and checks it against this host.
///
/// # Errors
///
/// Everything that is wrong with it, at once; also when it is missing, unreadable or empty.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    load_against(path, &Environment::of_this_host())
}

/// Reads the file at `path` and checks it against `environment`.
///
/// # Errors
///
/// As [`load`].
pub fn load_against(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&text, &name, environment),
            Err(error) => Err(not_utf8(&name, &error)),
        },
        Err(error) => Err(unreadable(&name, &error)),
    }
}

/// Reads `text`, which came from `file_name`, and checks it against `environment`. Touches nothing else.
///
/// # Errors
///
/// Everything that is wrong with it, at once.
pub fn parse(text: &str, file_name: &str, environment: &Environment) -> Result<Loaded, Diagnostics> {
    let source: Arc<str> = text.into();
    let fail = |findings| Err(Diagnostics::new(file_name, source.clone(), findings));
    if text.len() > FILE_BYTES_MAX {
        let finding = Finding::error("file-too-large", None, format!("the file has {} bytes", text.len()));
        return fail(vec![finding.remedy(format!("keep it below {FILE_BYTES_MAX} bytes"))]);
    }
    if is_blank(text) {
        let finding = Finding::error("empty-file", None, "the file says nothing");
        return fail(vec![finding.remedy(EXAMPLE)]);
    }
    let (root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        // WHY: what follows a syntax error is a guess; its findings would bury the one that matters.
        return fail(syntax_findings(text, &syntax));
    }
    let mut reader = Reader::new(root.get_ref());
    let node = Spanned::new(0..0, DeValue::Table(root.get_ref().clone()));
    let config = Config::read_table(root.get_ref(), &node, &mut reader, None);
    let Reader { mut marks, mut findings, lost, doubtful, .. } = reader;
    let Some(mut config) = config.filter(|_| !lost) else {
        return fail(findings);
    };
    fill_in(&mut config, &mut marks, environment);
    let unknown_names = resolve(&mut config, &marks);
    if unknown_names.is_empty() {
        // WHY: where a key was misspelt its default stands now, and what follows from that is not said.
        let doubtful: HashSet<_> = doubtful.iter().flat_map(|path| marks.below(path)).collect();
        let sure = |place: &Range<usize>| !doubtful.contains(place);
        let mut sense = check(&config, &marks, environment);
        sense.retain(|finding| finding.place.iter().chain(finding.related.iter().map(|(place, _)| place)).all(sure));
        findings.extend(sense);
    }
    findings.extend(unknown_names);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return fail(findings);
    }
    let warnings = Diagnostics::new(file_name, source.clone(), findings);
    Ok(Loaded { config, warnings, source, marks })
}

impl Loaded {
    /// The effective configuration as TOML: what the file gives stands plain, each default as a comment.
    /// Loading it gives the same configuration; but secrets are masked, and refused when they are read so.
    pub fn to_toml_with_defaults(&self) -> String {
        print_file(&self.config, &|path| self.marks.given(path))
    }
}

/// The least that works, for whoever starts with an empty file.
const EXAMPLE: &str = "start with:\n\n[listen]\nudp = [\"127.0.0.1:5060\"]\n\n[[set]]\nname = \"carriers\"\ngateways = [\"sip:127.0.0.1:5071\"]";

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The first error of each line. When a bracket or quote is left open, all behind it is one mistake:
/// only the first counts.
fn syntax_findings(text: &str, errors: &[toml::de::Error]) -> Vec<Finding> {
    let open = errors.iter().any(|error| error.message().starts_with("unclosed"));
    let line = |error: &toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        text.get(..start).unwrap_or(text).bytes().filter(|byte| *byte == b'\n').count()
    };
    let mut sorted: Vec<_> = errors.iter().collect();
    sorted.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    sorted.dedup_by_key(|error| line(error));
    sorted.truncate(if open { 1 } else { usize::MAX });
    sorted.into_iter().map(|error| syntax_finding(text, error, open)).collect()
}

fn syntax_finding(text: &str, error: &toml::de::Error, open: bool) -> Finding {
    let message = error.message();
    let here = error.span().and_then(|span| text.get(span.start..)).unwrap_or_default();
    let remedy = match message {
        _ if here.starts_with("//") || here.starts_with("/*") => "comments begin with #",
        _ if here.starts_with(';') => "remove the semicolon: a line ends by itself",
        _ if here.starts_with("\"") && message.starts_with("key with no value") => {
            "write `name = \"value\"`; nothing is loaded or set by commands"
        }
        _ if open => "close the bracket or the quotes that were opened before this",
        _ if message.starts_with("duplicate key") => "keep one of the two, or write [[name]] for a list of tables",
        _ if message.contains("string values must be quoted") => "put the text into double quotes",
        _ if message.starts_with("missing comma") => "put a comma between the two",
        _ => "strings stand in double quotes, lists in [ ], tables under a [header] or in { }; see https://toml.io",
    };
    let label = if open { "not expected here" } else { "" };
    Finding::error("syntax", error.span(), message).label(label).remedy(remedy)
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostics {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "give the path of the configuration file",
        std::io::ErrorKind::PermissionDenied => "let the user that runs Tandem read it",
        _ => "give the path of a readable TOML file",
    };
    let finding = Finding::error("unreadable-file", None, format!("cannot read {name}: {error}")).remedy(remedy);
    Diagnostics::new(name, "".into(), vec![finding])
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostics {
    let offset = error.utf8_error().valid_up_to();
    let finding =
        Finding::error("not-utf8", None, format!("{name} is not UTF-8: byte {offset} is no part of a character"));
    Diagnostics::new(name, "".into(), vec![finding.remedy("save it as UTF-8")])
}
