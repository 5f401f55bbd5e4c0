//! An image for the shadow: the one in service with one deck replaced, so that nothing else differs.

use super::build::{Plan, write};
use super::report::{Report, findings};
use super::{fail, now};
use crate::cli::{Exit, colour_on_stderr};
use crate::deck_files::image_file::open_image;
use crate::deck_files::source::DeckFile;
use crate::deck_files::{read_origins, read_states};
use deck::compare::Changes;
use deck::compile::DeckSource;
use deck::image::Image;
use deck::nanp::StateTable;
use engine_sys::resident_file::ResidentFile;
use std::path::{Path, PathBuf};
use tuning::Config;

/// Ending of the image that is made beside the one in service.
pub(in crate::cli) const CANDIDATE_ENDING: &str = ".shadow";

/// The deck that is tried.
pub(in crate::cli) struct CandidateDeck<'d> {
    pub(in crate::cli) file: &'d Path,
    /// Its name in the configuration; `None`: as its file tells.
    pub(in crate::cli) name: Option<&'d str>,
    /// Whatever is odd about it.
    pub(in crate::cli) force: bool,
}

/// Findings that are shown; `tandem deck check` shows all.
const FINDINGS_SHOWN: usize = 20;

/// Makes the image by the configuration in service; its path.
pub(in crate::cli) fn candidate_image(config: &Path, deck: &CandidateDeck<'_>) -> Result<PathBuf, Exit> {
    let loaded = tuning::load(config).map_err(|diagnostics| {
        eprint!("{}", diagnostics.render(colour_on_stderr()));
        Exit::BadConfiguration
    })?;
    make(&loaded.config, deck).map_err(fail)?.ok_or(Exit::BadConfiguration)
}

/// `None`: the deck is refused, and why is said.
fn make(config: &Config, candidate: &CandidateDeck<'_>) -> Result<Option<PathBuf>, String> {
    let text = |error: crate::deck_files::FileError| error.to_string();
    let in_service = config.rating.image.as_ref().ok_or("the configuration in service has no image of decks")?;
    let image = open_image(in_service).map_err(text)?;
    let meant = meant(config, candidate)?;
    let mut deck = DeckFile::configured(meant).map_err(text)?;
    (deck.file, deck.updates) = (candidate.file.to_owned(), Vec::new());
    let before = image.deck(&meant.name).map(|(index, _)| image.rows(index));
    let loaded = deck.load(before.clone(), &mut |_| ()).map_err(text)?;
    let at = now();
    let changes = before.map(|before| Changes::between(&before, &loaded.source.rows, at, deck.bounds));
    let report = Report::of(&deck, &loaded, changes, at);
    loaded.findings.iter().for_each(|(path, found)| eprint!("{}", findings(path, found, FINDINGS_SHOWN)));
    eprint!("{}", report.text());
    if !report.refusals.is_empty() && !candidate.force {
        eprintln!("tandem: not put into the shadow: correct the deck, or give --force");
        return Ok(None);
    }
    let mut sources = others(config, &image, &meant.name).map_err(text)?;
    sources.push(loaded.source);
    let mut states = StateTable::default();
    if let Some(path) = &config.rating.states {
        read_states(path, &mut states).map_err(text)?;
    }
    if let Some(path) = &config.rating.local_exchanges {
        crate::deck_files::read_local_exchanges(path, &mut states).map_err(text)?;
    }
    let mut output = in_service.as_os_str().to_owned();
    output.push(CANDIDATE_ENDING);
    let output = std::path::absolute(output).map_err(|error| error.to_string())?;
    write(&sources, &Plan { decks: Vec::new(), states, output: output.clone() })?;
    Ok(Some(output))
}

/// Which deck of the configuration it is.
fn meant<'c>(config: &'c Config, candidate: &CandidateDeck<'_>) -> Result<&'c tuning::Deck, String> {
    let names = || config.decks.iter().map(|deck| deck.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = candidate.name {
        let found = config.decks.iter().find(|deck| deck.name == name);
        return found.ok_or_else(|| format!("there is no deck `{name}`: choose one of {}", names()));
    }
    let is_file = |deck: &&tuning::Deck| deck.file.canonicalize().is_ok_and(|file| file == candidate.file);
    let stem = candidate.file.file_stem().map(|stem| stem.to_string_lossy());
    let found = config.decks.iter().find(is_file);
    let found = found.or_else(|| config.decks.iter().find(|deck| stem.as_ref().is_some_and(|stem| *stem == deck.name)));
    found.ok_or_else(|| format!("which deck is {}? Give --deck, one of {}", candidate.file.display(), names()))
}

/// All decks of the image but one, as they are in it.
fn others(
    config: &Config,
    image: &Image<ResidentFile>,
    without: &str,
) -> Result<Vec<DeckSource>, crate::deck_files::FileError> {
    let mut sources = Vec::new();
    for (index, deck) in image.decks().iter().enumerate().filter(|(_, deck)| deck.settings.name != without) {
        let configured = config.decks.iter().find(|one| one.name == deck.settings.name);
        let origins = configured.and_then(|deck| deck.origins.as_deref()).map(read_origins).transpose()?;
        let (settings, origins) = (deck.settings.clone(), origins.unwrap_or_default());
        sources.push(DeckSource { settings, rows: image.rows(index), origins });
    }
    Ok(sources)
}
