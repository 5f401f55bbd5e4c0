//! Completions and manual pages, made from the definition of the command line.

use super::{Cli, Exit};
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

pub(super) fn completions(shell: Shell) -> Exit {
    clap_complete::generate(shell, &mut Cli::command(), "tandem", &mut std::io::stdout());
    Exit::Good
}

pub(super) fn manual_pages(folder: &Path) -> Exit {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => Exit::Good,
        Err(error) => {
            eprintln!("tandem: {}: {error}", folder.display());
            Exit::Failed
        }
    }
}
