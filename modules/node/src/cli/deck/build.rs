//! `tandem deck build`: decks into one image, with progress; nothing is written when one is refused.

use super::options::{Reading, moment};
use super::report::{Report, findings};
use super::{fail, now};
use crate::cli::client::print;
use crate::cli::{Exit, Format, colour_on_stderr};
use crate::deck_files::image_file::{Replaced, open_image, write_image};
use crate::deck_files::source::DeckFile;
use crate::deck_files::{read_local_exchanges, read_states};
use clap::Args;
use deck::compare::Changes;
use deck::compile::{DeckSource, compile};
use deck::image::Image;
use deck::nanp::StateTable;
use engine_sys::resident_file::ResidentFile;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The configuration whose decks are built.
    #[arg(long, value_name = "FILE", conflicts_with = "files", required_unless_present = "files")]
    config: Option<PathBuf>,
    /// Decks, each named after its file.
    files: Vec<PathBuf>,
    /// The image [default: `image` of [rating]].
    #[arg(short, long, value_name = "IMAGE", required_unless_present = "config")]
    output: Option<PathBuf>,
    /// The image in force [default: the one that is replaced].
    #[arg(long, value_name = "IMAGE")]
    against: Option<PathBuf>,
    /// Build it even if rows are odd, or a deck is empty, loses a fifth or moves far.
    #[arg(long)]
    force: bool,
    /// When it is to be in force [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
    #[command(flatten)]
    reading: Reading,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Findings of a file that are shown for people; `tandem deck check` shows all.
const FINDINGS_SHOWN: usize = 20;

/// The image of the decks of a configuration, said to nobody; what it replaces is not asked.
pub(in crate::cli) fn build_image(config: &tuning::Config) -> Result<(), String> {
    let output = config.rating.image.clone().ok_or("[rating] names no image")?;
    let mut sources = Vec::new();
    for deck in &config.decks {
        let deck = DeckFile::configured(deck).map_err(|error| error.to_string())?;
        sources.push(deck.load(None, &mut |_| ()).map_err(|error| error.to_string())?.source);
    }
    let plan = Plan { decks: Vec::new(), states: StateTable::default(), output };
    write(&sources, &plan).map(drop)
}

/// What is to be built.
pub(super) struct Plan {
    pub(super) decks: Vec<DeckFile>,
    pub(super) states: StateTable,
    pub(super) output: PathBuf,
}

pub(super) fn build(arguments: &Arguments) -> Exit {
    match plan(arguments) {
        Ok(plan) => carry_out(arguments, &plan).unwrap_or_else(fail),
        Err(exit) => exit,
    }
}

fn plan(arguments: &Arguments) -> Result<Plan, Exit> {
    let Some(config) = &arguments.config else {
        let decks: Result<Vec<_>, String> = arguments.files.iter().map(|file| arguments.reading.deck(file)).collect();
        let output = arguments.output.clone().ok_or(Exit::Usage)?;
        return Ok(Plan { decks: decks.map_err(fail)?, states: StateTable::default(), output });
    };
    let loaded = tuning::load(config).map_err(|diagnostics| {
        eprint!("{}", diagnostics.render(colour_on_stderr()));
        Exit::BadConfiguration
    })?;
    let decks: Result<Vec<_>, _> = loaded.config.decks.iter().map(DeckFile::configured).collect();
    let rating = &loaded.config.rating;
    let mut states = StateTable::default();
    if let Some(path) = &rating.states {
        read_states(path, &mut states).map_err(fail)?;
    }
    if let Some(path) = &rating.local_exchanges {
        read_local_exchanges(path, &mut states).map_err(fail)?;
    }
    let Some(output) = arguments.output.clone().or_else(|| rating.image.clone()) else {
        eprintln!("tandem: where to? Give -o, or `image` in [rating]");
        return Err(Exit::Usage);
    };
    Ok(Plan { decks: decks.map_err(fail)?, states, output })
}

fn carry_out(arguments: &Arguments, plan: &Plan) -> Result<Exit, String> {
    let started = Instant::now();
    let in_force = in_force(arguments, plan)?;
    let at = arguments.at.unwrap_or_else(now);
    let (mut sources, mut reports, mut refused) = (Vec::new(), Vec::new(), false);
    for (nth, deck) in plan.decks.iter().enumerate() {
        let mut progress =
            Progress::new(format!("reading {} ({} of {})", deck.settings.name, nth + 1, plan.decks.len()));
        let before =
            in_force.as_ref().and_then(|image| image.deck(&deck.settings.name).map(|(index, _)| image.rows(index)));
        let loaded =
            deck.load(before.clone(), &mut |rows| progress.at(rows as u64)).map_err(|error| error.to_string())?;
        drop(progress);
        let changes = before.map(|before| Changes::between(&before, &loaded.source.rows, at, deck.bounds));
        let report = Report::of(deck, &loaded, changes, at);
        refused |= !report.refusals.is_empty();
        match arguments.format {
            Format::Json => reports.push(report.json()),
            Format::Text => {
                loaded.findings.iter().for_each(|(path, found)| eprint!("{}", findings(path, found, FINDINGS_SHOWN)));
                eprint!("{}", report.text());
            }
        }
        sources.push(loaded.source);
    }
    let written = if refused && !arguments.force { None } else { Some(replace(&sources, plan)?) };
    let hash = written.as_ref().map(|image| image.hash().to_string());
    let octets = written.as_ref().map_or(0, |image| image.octets().len());
    let rows: u64 = written.iter().flat_map(Image::decks).map(|deck| deck.rows).sum();
    let text = match (arguments.format, &hash) {
        (Format::Json, _) => {
            let seconds = started.elapsed().as_secs_f64();
            let image = hash.map(|hash| serde_json::json!({ "path": plan.output, "sha256": hash, "octets": octets, "rows": rows, "seconds": seconds }));
            format!("{:#}\n", serde_json::json!({ "decks": reports, "image": image }))
        }
        (Format::Text, Some(hash)) => {
            let took = started.elapsed().as_secs_f64();
            format!(
                "{}: {rows} rows of {} decks, {octets} octets, {took:.1} s\nsha256 {hash}\n",
                plan.output.display(),
                sources.len()
            )
        }
        (Format::Text, None) => {
            format!("nothing written: correct the decks, or give --force ({} stands)\n", plan.output.display())
        }
    };
    let shown = print(&text);
    Ok(if written.is_some() { shown } else { Exit::BadConfiguration })
}

/// The image that decks are compared with and updates applied to: as asked, else the one that is replaced.
fn in_force(arguments: &Arguments, plan: &Plan) -> Result<Option<Image<ResidentFile>>, String> {
    let path = arguments.against.as_ref().unwrap_or(&plan.output);
    match open_image(path) {
        Ok(image) => Ok(Some(image)),
        Err(error) if arguments.against.is_some() => Err(error.to_string()),
        Err(_) if !path.exists() => Ok(None),
        Err(error) => {
            // WHY not an error: an image of another release must be replaceable.
            eprintln!("tandem: {error}: decks are not compared with it");
            Ok(None)
        }
    }
}

/// Writes the image; the one that it replaces, if that is another, is kept for `tandem deck rollback`.
fn replace(sources: &[DeckSource], plan: &Plan) -> Result<Image<ResidentFile>, String> {
    let before = open_image(&plan.output).ok().map(|image| image.hash());
    let replaced = Replaced::hold(&plan.output).map_err(|error| error.to_string())?;
    let written = write(sources, plan)?;
    if before.is_some_and(|before| before != written.hash())
        && let Some(replaced) = replaced
    {
        replaced.keep().map_err(|error| error.to_string())?;
    }
    Ok(written)
}

/// Compiles, writes, and opens again what was written.
pub(super) fn write(sources: &[DeckSource], plan: &Plan) -> Result<Image<ResidentFile>, String> {
    let mut progress = Progress::new("compiling".to_owned());
    let octets = compile(sources, &plan.states, &mut |rows| progress.at(rows)).map_err(|error| error.to_string())?;
    drop(progress);
    write_image(&plan.output, &octets).map_err(|error| error.to_string())?;
    open_image(&plan.output).map_err(|error| error.to_string())
}

/// A line on a terminal that says how far it is; nothing anywhere else.
struct Progress {
    what: String,
    shown: Option<Instant>,
    terminal: bool,
}

/// How often the line changes.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl Progress {
    fn new(what: String) -> Self {
        Progress { what, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    fn at(&mut self, rows: u64) {
        if self.terminal && self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS_EVERY) {
            self.shown = Some(Instant::now());
            eprint!("\r\x1b[K{}: {rows} rows", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
