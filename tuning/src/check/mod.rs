//! What operators get wrong beyond syntax.

use crate::config::Config;
use crate::diagnostic::Finding;
use crate::environment::Environment;
use crate::read::Marks;

/// Every finding about a configuration that could be read.
pub(crate) fn check(_config: &Config, _marks: &Marks, _environment: &Environment) -> Vec<Finding> {
    Vec::new()
}
