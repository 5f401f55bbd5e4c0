//! Rules about the process around the shards.

use super::{Checker, repeated};

pub(super) fn group_access(checker: &mut Checker<'_>) {
    if checker.given("control.group_access") && checker.config.control.group.is_none() {
        let finding = checker.error(
            "ignored-group-access",
            "control.group_access",
            "`group_access` has no effect without a `group`",
        );
        checker.note(finding.label("of which group?").remedy("add group = \"...\", or remove this line"));
    }
}

pub(super) fn key_files(checker: &mut Checker<'_>) {
    let keys = &checker.config.keys;
    if keys.files.len() > limits::KEYS_MAX {
        let finding = checker.error("too-many-keys", "keys.files", format!("there are {} keys", keys.files.len()));
        checker.note(finding.remedy(format!("keep at most {}: the first signs, the others verify", limits::KEYS_MAX)));
    }
    for (earlier, index) in repeated(keys.files.iter()) {
        let finding = checker
            .error("duplicate-key-file", &format!("keys.files[{index}]"), "this key is given twice")
            .label("again")
            .related(checker.marks.value(&format!("keys.files[{earlier}]")), "first here")
            .remedy("remove one of the two");
        checker.note(finding);
    }
    if !keys.files.is_empty() && checker.given("keys.dir") {
        let finding =
            checker.error("ignored-key-dir", "keys.dir", "`dir` has no effect: the keys are given in `files`");
        checker.note(finding.label("without effect").remedy("remove `dir`, or remove `files`"));
    }
}
