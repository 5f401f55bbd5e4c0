//! The naive model: what each phone was told of its bindings, and until when they last.

use std::collections::BTreeMap;

/// Beyond its end a binding may stand so long, in seconds.
const GRACE: u64 = limits::registrar::GRACE_SECONDS as u64;

/// Times are kept in whole seconds, cut twice: when it is granted and when it is read again.
const SLACK: u64 = 2;

/// Contacts of a user, each with the second in which it ends.
pub(crate) type Bindings = BTreeMap<String, u64>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Model {
    users: BTreeMap<String, User>,
}

#[derive(Debug, Default)]
struct User {
    told: Bindings,
    /// A REGISTER was sent that was not answered: what holds is not known until one is.
    unsure: bool,
    /// Until then bindings of REGISTERs that were not answered may stand in their grace, which no 200 lists.
    unlisted_until: u64,
}

impl Model {
    /// A REGISTER goes out.
    pub(crate) fn asks(&mut self, user: &str) {
        self.users.entry(user.to_owned()).or_default().unsure = true;
    }

    /// The last REGISTER changed nothing, whatever else is under way.
    pub(crate) fn never(&mut self, user: &str, was_sure: bool) {
        self.users.entry(user.to_owned()).or_default().unsure = !was_sure;
    }

    /// The user that has had no answer to its last one.
    pub(crate) fn is_unsure(&self, user: &str) -> bool {
        self.users.get(user).is_some_and(|known| known.unsure)
    }

    /// A 200 to the last REGISTER of a user, which was for `contact` and first sent `since` seconds ago, lists these. It
    /// may be the answer to a repetition, when some of the time has passed.
    ///
    /// # Errors
    /// What it says is not what was told before.
    pub(crate) fn told(
        &mut self,
        (user, sure): (&str, bool),
        (contact, expires, since): (&str, u64, u64),
        listed: Bindings,
        now: u64,
    ) -> Result<(), String> {
        let known = self.users.entry(user.to_owned()).or_default();
        let granted = listed.get(contact).map(|ends| ends.saturating_sub(now));
        let passed = since + SLACK;
        let fits = |left: u64| expires > 0 && left <= expires && left + passed >= expires;
        if granted.map_or(expires > passed, |left| !fits(left)) {
            return Err(format!("{user} asked {expires} s for {contact} and was granted {granted:?}"));
        }
        if sure {
            let others = known.told.iter().filter(|(other, _)| *other != contact);
            for (other, ends) in others {
                let has = listed.get(other);
                if *ends > now + SLACK && has.is_none_or(|has| has.abs_diff(*ends) > SLACK) {
                    return Err(format!("{user}'s {other} lasts until {ends}, and the 200 at {now} says {has:?}"));
                }
            }
            if let Some(other) = listed.keys().find(|other| *other != contact && !known.told.contains_key(*other)) {
                return Err(format!("{user} never registered {other}"));
            }
        }
        // What is over is not listed any more, and stands as long as its grace.
        let over = std::mem::take(&mut known.told)
            .into_iter()
            .filter(|(other, ends)| other != contact && *ends <= now + SLACK);
        known.told = over.chain(listed).collect();
        known.unsure = false;
        if !sure {
            known.unlisted_until = now + GRACE + SLACK;
        }
        Ok(())
    }

    /// A request to a user reached these contacts.
    ///
    /// # Errors
    /// One is lost, or one is there that should not be.
    pub(crate) fn reached(&self, user: &str, contacts: &[String], now: u64) -> Result<(), String> {
        let nobody = User::default();
        let known = self.users.get(user).unwrap_or(&nobody);
        if known.unsure {
            return Ok(());
        }
        if let Some((lost, ends)) =
            known.told.iter().find(|(contact, ends)| **ends > now + SLACK && !contacts.contains(contact))
        {
            return Err(format!("{user}'s {lost} lasts until {ends} and is not reached at {now}"));
        }
        let alive = |contact: &String| known.told.get(contact).is_some_and(|ends| ends + GRACE + SLACK >= now);
        match contacts.iter().find(|contact| !alive(contact) && now > known.unlisted_until) {
            Some(contact) => Err(format!("{user}'s {contact} is reached at {now} and should not be")),
            None => Ok(()),
        }
    }
}
