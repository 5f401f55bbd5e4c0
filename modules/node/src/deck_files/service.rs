//! The image of decks that customers' calls are priced by, as a start or a reload takes it into service.
//!
//! Called by `run`, by the thread that asks for a reload, and by `tandem explain`; the image is in memory as a whole,
//! hashed and held against the configuration, before any shard hears of it.

use super::FileError;
use engine_sys::resident_file::ResidentFile;
use modules::class4::{DeckImage, DeckOctets};
use std::fs::File;
use std::sync::Arc;
use tuning::Config;

/// Opens the image of a configuration. `None`: it has no customers, and needs none.
///
/// # Errors
/// There is none, it is damaged, or it lacks a deck that a customer or vendor has.
pub fn image_of(config: &Config) -> Result<Option<Arc<DeckImage>>, FileError> {
    let Some(path) = config.rating.image.as_ref().filter(|_| !config.customers.is_empty()) else { return Ok(None) };
    let fail = |why: String| FileError::new(path, 0, why);
    let remedy = "run `tandem deck build --config FILE`";
    let file = File::open(path).map_err(|error| fail(format!("{error}: {remedy}")))?;
    let octets = ResidentFile::new(&file).map_err(|error| fail(error.to_string()))?;
    let image = DeckImage::open(DeckOctets::new(octets)).map_err(|error| fail(error.to_string()))?;
    let of_customers = config.customers.iter().map(|customer| &customer.deck.name);
    for name in of_customers.chain(config.vendors.iter().map(|vendor| &vendor.deck.name)) {
        let Some((_, deck)) = image.deck(name) else {
            return Err(fail(format!("it was built without the deck `{name}`: {remedy}")));
        };
        let meant = config.decks.iter().find(|deck| deck.name == *name).map(|deck| deck.currency.as_str());
        if meant.is_some_and(|meant| *meant != deck.settings.currency) {
            let was = &deck.settings.currency;
            return Err(fail(format!("it was built when the deck `{name}` was in {was}: {remedy}")));
        }
    }
    Ok(Some(Arc::new(image)))
}
