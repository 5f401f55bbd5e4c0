//! `tandem deck rollback`: the image before the last build takes its place again, and the running Tandem takes it into
//! service; once more, and the later one is back.

use super::fail;
use crate::cli::{Connection, Exit, client, colour_on_stderr, show};
use crate::deck_files::image_file::{open_image, roll_back};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The configuration that the running Tandem was started with.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Change the image alone; a start or `tandem reload` takes it into service.
    #[arg(long)]
    no_reload: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn rollback(arguments: &Arguments) -> Exit {
    let loaded = match tuning::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(colour_on_stderr()));
            return Exit::BadConfiguration;
        }
    };
    let Some(image) = &loaded.config.rating.image else { return fail("[rating] names no image") };
    let hash = || open_image(image).map(|image| image.hash().to_string());
    if let Err(error) = roll_back(image) {
        return fail(error);
    }
    let hash = match hash() {
        Ok(hash) => hash,
        Err(error) => return undo(image, &error.to_string()),
    };
    eprintln!("tandem: {} is the image before it, sha256 {hash}", image.display());
    if arguments.no_reload {
        return Exit::Good;
    }
    let socket = arguments.connection.socket.clone().unwrap_or_else(|| loaded.config.control.socket.clone());
    let connection = Connection { socket: Some(socket), format: arguments.connection.format };
    match client::call(&connection, "reload", &json!({ "force": false, "previous": false })) {
        Ok(reply) => client::print_reply(connection.format, reply, show::reload),
        Err(error) => undo(image, &error.to_string()),
    }
}

/// It cannot be taken into service: the image stands as before.
fn undo(image: &std::path::Path, why: &str) -> Exit {
    let stands = roll_back(image).map_or_else(|error| error.to_string(), |()| "the image stands as it did".to_owned());
    fail(format!("{why}; {stands}"))
}
