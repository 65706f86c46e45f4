//! A question about a name as a notification of the desktop's, with buttons: Desktop Notifications Specification.

use super::answer::Answer;
use super::question::{PATIENCE, Question, READING};
use crate::dbus::{self, Body, Bus, Method};
use crate::plan::{NOTIFICATIONS, stands_for};
use crate::sys::{self, Poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

const PATH: &str = "/org/freedesktop/Notifications";

/// The bus itself.
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

fn method(name: &'static str, signature: &'static str) -> Method<'static> {
    Method { to: NOTIFICATIONS, path: PATH, interface: NOTIFICATIONS, method: name, signature, starts: true }
}

/// Makes sure that somebody shows notifications with buttons, who is none of those that the program `talks` to.
///
/// # Errors
///
/// Nobody does: why.
pub(super) fn reach(address: &str, talks: &[String]) -> Result<(), String> {
    let mut bus =
        dbus::connect(address, dbus::START).map_err(|why| format!("the session bus cannot be reached: {why}"))?;
    let known = bus.body_of(&method("GetCapabilities", ""), &Body::default());
    let known = known.map_err(|why| format!("nobody shows any: {why}"))?;
    // An array: its length is before its strings.
    if !dbus::strings(&known, 4).iter().any(|word| word == "actions") {
        return Err("what shows them shows no buttons".into());
    }
    if talks.is_empty() {
        return Ok(());
    }
    let owner = bus.owner(NOTIFICATIONS)?;
    let list = Method { to: BUS, path: BUS_PATH, interface: BUS, method: "ListNames", signature: "", starts: false };
    let names = dbus::strings(&bus.body_of(&list, &Body::default())?, 4);
    for name in names.iter().filter(|name| talks.iter().any(|talk| stands_for(talk, name))) {
        if bus.owner(name).is_ok_and(|other| other == owner) {
            return Err(format!(
                "who shows them is `{name}`, too, to which the program can send messages by dbus.session"
            ));
        }
    }
    Ok(())
}

/// Asks, until somebody answers, the time is over, or the other end of `launcher` is closed.
pub(super) fn ask(address: &str, question: &Question, launcher: BorrowedFd<'_>) -> Answer {
    let until = Instant::now() + PATIENCE;
    let Ok(mut bus) = listen(address) else { return Answer::None };
    let (answer, shown) = loop {
        let Ok(shown) = show(&mut bus, question) else { return Answer::None };
        match wait(&mut bus, &shown, until, launcher) {
            Some(answer) => break (answer, shown),
            // A button was pressed before somebody can have read the question, and the notification may have gone by that.
            None => take_back(&mut bus, &shown),
        }
    };
    // Some go away by themselves, once a button is pressed.
    if answer == Answer::None {
        take_back(&mut bus, &shown);
    }
    answer
}

fn take_back(bus: &mut Bus, shown: &Shown) {
    bus.wait_for(dbus::SHORT);
    let mut body = Body::default();
    body.number(shown.id);
    let _ = bus.body_of(&method("CloseNotification", "u"), &body);
}

/// A notification that is shown.
struct Shown {
    id: u32,
    /// Who shows it: signals of others are not believed.
    by: String,
    /// When it was shown.
    at: Instant,
}

/// A connection to the bus that gets the signals of who shows notifications.
fn listen(address: &str) -> Result<Bus, String> {
    let mut bus = dbus::connect(address, dbus::START)?;
    let rule = format!("type='signal',sender='{NOTIFICATIONS}',interface='{NOTIFICATIONS}'");
    bus.call(BUS, BUS_PATH, BUS, "AddMatch", Some(&rule))?;
    Ok(bus)
}

fn show(bus: &mut Bus, question: &Question) -> Result<Shown, String> {
    bus.wait_for(dbus::START);
    let encoded = match question.encoded {
        true => "\nWith letters of other alphabets, it may look like another name elsewhere.",
        false => "",
    };
    let mut body = Body::default();
    body.string("sbx");
    // It replaces none.
    body.number(0);
    body.string("dialog-question");
    body.string("May a sandbox reach this name?");
    body.string(&format!("{}\nasked for by {}{encoded}", question.name, question.who));
    body.array(4, |actions| {
        for (answer, label) in Answer::ALL.into_iter().zip(["Once, in this run", "Always", "Never"]) {
            actions.string(answer.word());
            actions.string(label);
        }
    });
    // Hints: it is not put aside where others are not to disturb, or after a moment.
    body.array(8, |hints| {
        const CRITICAL: u8 = 2;
        hints.structure();
        hints.string("urgency");
        hints.variant("y");
        hints.byte(CRITICAL);
    });
    body.number(u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX));
    let id = bus.body_of(&method("Notify", "susssasa{sv}i"), &body)?;
    let id = dbus::number(&id).ok_or("it says no number of the notification")?;
    let at = Instant::now();
    let by = bus.owner(NOTIFICATIONS)?;
    Ok(Shown { id, by, at })
}

/// Waits for the answer; none if a button is pressed too early to be one, after which the notification has to be shown again.
fn wait(bus: &mut Bus, shown: &Shown, until: Instant, launcher: BorrowedFd<'_>) -> Option<Answer> {
    let read = shown.at + READING;
    let mut pressed = false;
    bus.wait_for(PATIENCE + dbus::SHORT);
    loop {
        while let Some(signal) = bus.next_signal() {
            if signal.sender != shown.by || dbus::number(&signal.body) != Some(shown.id) {
                continue;
            }
            match signal.member.as_str() {
                "ActionInvoked" if Instant::now() < read => pressed = true,
                "ActionInvoked" if pressed => {}
                "ActionInvoked" => {
                    let key = dbus::strings(&signal.body, 4).into_iter().next().unwrap_or_default();
                    return Some(Answer::of(&key));
                }
                // It goes away by the button, too.
                "NotificationClosed" if pressed => {}
                // Somebody has closed it, without an answer.
                "NotificationClosed" => return Some(Answer::None),
                _ => {}
            }
        }
        if bus.has_more() {
            match bus.read() {
                true => continue,
                false => return Some(Answer::None),
            }
        }
        let now = Instant::now();
        if pressed && now >= read {
            return None;
        }
        let left = until.saturating_duration_since(now);
        let next = if pressed { left.min(read.saturating_duration_since(now)) } else { left };
        // Rounded up: what is left of a millisecond is waited for, too.
        let next = i32::try_from(next.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let mut set = [Poll::read(bus.as_fd().as_raw_fd()), Poll::end(launcher.as_raw_fd())];
        if left.is_zero() || sys::poll(&mut set, Some(next)).is_err() {
            return Some(Answer::None);
        }
        let [came, end] = set.map(|poll| poll.ready);
        if end || (came && !bus.read()) {
            return Some(Answer::None);
        }
    }
}
