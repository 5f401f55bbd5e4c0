//! `tandem deck check`: is this deck good, and what does it change?

use super::options::{Reading, moment};
use super::report::{Report, findings};
use super::{fail, now};
use crate::cli::client::print;
use crate::cli::{Exit, Format};
use crate::deck_files::image_file::open_image;
use crate::deck_files::source::DeckFile;
use clap::Args;
use deck::compare::Changes;
use deck::rows::Rows;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The deck: CSV of any delimiter, or xlsx.
    file: PathBuf,
    /// The deck in force: an image, or another file.
    #[arg(long, value_name = "IMAGE|FILE")]
    against: Option<PathBuf>,
    /// Its name in the image [default: the name of the file].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// It touches only the codes that it names.
    #[arg(long)]
    update: bool,
    /// When it is to be in force [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
    #[command(flatten)]
    reading: Reading,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn check(arguments: &Arguments) -> Exit {
    match read(arguments) {
        Ok(exit) => exit,
        Err(why) => fail(why),
    }
}

fn read(arguments: &Arguments) -> Result<Exit, String> {
    let mut deck = arguments.reading.deck(&arguments.file)?;
    deck.full = !arguments.update;
    if let Some(name) = &arguments.name {
        deck.settings.name.clone_from(name);
    }
    let in_force = arguments.against.as_deref().map(|path| against(path, &deck, &arguments.reading)).transpose()?;
    let loaded = deck.load(in_force.clone(), &mut |_| ()).map_err(|error| error.to_string())?;
    let at = arguments.at.unwrap_or_else(now);
    let rows = &loaded.source.rows;
    let changes = in_force.map(|before| Changes::between(&before, rows, at, deck.bounds));
    let report = Report::of(&deck, &loaded, changes, at);
    let shown = match arguments.format {
        Format::Json => print(&format!("{:#}\n", report.json())),
        Format::Text => {
            loaded.findings.iter().for_each(|(path, found)| eprint!("{}", findings(path, found, usize::MAX)));
            print(&report.text())
        }
    };
    Ok(if report.refusals.is_empty() { shown } else { Exit::BadConfiguration })
}

/// The deck in force: of that name in an image, or another file.
fn against(path: &Path, deck: &DeckFile, reading: &Reading) -> Result<Rows, String> {
    let is_image = std::fs::File::open(path)
        .and_then(|mut file| {
            let mut magic = [0; 8];
            std::io::Read::read_exact(&mut file, &mut magic).map(|()| magic == *b"TANDECK\n")
        })
        .unwrap_or(false);
    if !is_image {
        let other = reading.deck(path)?.load(None, &mut |_| ()).map_err(|error| error.to_string())?;
        return Ok(other.source.rows);
    }
    let image = open_image(path).map_err(|error| error.to_string())?;
    let name = &deck.settings.name;
    let (index, _) = image.deck(name).ok_or_else(|| {
        let names: Vec<_> = image.decks().iter().map(|deck| deck.settings.name.as_str()).collect();
        format!("{} has no deck `{name}`: choose one with --name: {}", path.display(), names.join(", "))
    })?;
    Ok(image.rows(index))
}
