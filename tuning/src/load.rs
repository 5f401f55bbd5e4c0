//! From a file to a configuration: read, fill in, resolve, check.

use crate::check::check;
use crate::config::Config;
use crate::diagnostic::{Diagnostics, Finding, Severity};
use crate::environment::Environment;
use crate::read::{Marks, Reader};
use crate::resolve::{fill_in, resolve};
use crate::schema::{Section, print_file};
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
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&text, &name, &Environment::of_this_host()),
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
pub fn parse(
    text: &str,
    file_name: &str,
    environment: &Environment,
) -> Result<Loaded, Diagnostics> {
    let source: Arc<str> = text.into();
    let fail = |findings| Err(Diagnostics::new(file_name, source.clone(), findings));
    if text.len() > FILE_BYTES_MAX {
        let finding = Finding::error(
            "file-too-large",
            None,
            format!("the file has {} bytes", text.len()),
        );
        return fail(vec![
            finding.remedy(format!("keep it below {FILE_BYTES_MAX} bytes")),
        ]);
    }
    if is_blank(text) {
        let finding = Finding::error("empty-file", None, "the file says nothing");
        return fail(vec![finding.remedy(EXAMPLE)]);
    }
    let (root, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        // WHY: what follows a syntax error is a guess; its findings would bury the one that matters.
        return fail(syntax.iter().map(syntax_finding).collect());
    }
    let mut reader = Reader::new(root.get_ref());
    let node = Spanned::new(0..0, DeValue::Table(root.get_ref().clone()));
    let config = Config::read_table(root.get_ref(), &node, &mut reader, None);
    let Reader {
        mut marks,
        mut findings,
        lost,
        ..
    } = reader;
    let Some(mut config) = config.filter(|_| !lost) else {
        return fail(findings);
    };
    fill_in(&mut config, &mut marks, environment);
    let unknown_names = resolve(&mut config, &marks);
    if unknown_names.is_empty() {
        let mut sense = check(&config, &marks, environment);
        // WHY: a key that was misspelt has its default here; only what is wrong all the same is said.
        sense.retain(|finding| findings.is_empty() || finding.severity == Severity::Error);
        findings.extend(sense);
    }
    findings.extend(unknown_names);
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return fail(findings);
    }
    let warnings = Diagnostics::new(file_name, source.clone(), findings);
    Ok(Loaded {
        config,
        warnings,
        source,
        marks,
    })
}

impl Loaded {
    /// The effective configuration as TOML: what the file gives stands plain, each default as a comment.
    /// Loading it gives the same configuration.
    pub fn to_toml_with_defaults(&self) -> String {
        print_file(&self.config, &|path| self.marks.given(path))
    }
}

/// The least that works, for whoever starts with an empty file.
const EXAMPLE: &str = "start with:\n\n[listen]\nudp = [\"127.0.0.1:5060\"]\n\n[[set]]\nname = \"carriers\"\ngateways = [\"sip:127.0.0.1:5071\"]";

fn is_blank(text: &str) -> bool {
    text.lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

fn syntax_finding(error: &toml::de::Error) -> Finding {
    let remedy = match error.message() {
        message if message.starts_with("duplicate key") => {
            "keep one of the two, or write [[name]] for a list of tables"
        }
        message if message.contains("string values must be quoted") => {
            "put the text into double quotes"
        }
        _ => {
            "see https://toml.io/en/v1.0.0; strings stand in double quotes, lists in [ ], tables in [header] or { }"
        }
    };
    Finding::error("syntax", error.span(), error.message()).remedy(remedy)
}

fn unreadable(name: &str, error: &std::io::Error) -> Diagnostics {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "give the path of the configuration file",
        std::io::ErrorKind::PermissionDenied => "let the user that runs Tandem read it",
        _ => "give the path of a readable TOML file",
    };
    let finding = Finding::error(
        "unreadable-file",
        None,
        format!("cannot read {name}: {error}"),
    )
    .remedy(remedy);
    Diagnostics::new(name, "".into(), vec![finding])
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostics {
    let offset = error.utf8_error().valid_up_to();
    let finding = Finding::error(
        "not-utf8",
        None,
        format!("{name} is not UTF-8: byte {offset} is no part of a character"),
    );
    Diagnostics::new(name, "".into(), vec![finding.remedy("save it as UTF-8")])
}
