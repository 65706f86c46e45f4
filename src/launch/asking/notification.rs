//! A question about a name as a notification of the desktop's, with buttons: Desktop Notifications Specification.

use super::answer::{Answer, Said};
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

fn connect(address: &str) -> Result<Bus, String> {
    dbus::connect(address, dbus::START).map_err(|why| format!("the session bus cannot be reached: {why}"))
}

/// Makes sure that somebody shows notifications with buttons, who is none of those that the program `talks` to.
///
/// # Errors
///
/// Nobody does: why.
pub(super) fn reach(address: &str, talks: &[String]) -> Result<(), String> {
    shower(&mut connect(address)?, talks)
}

/// The same, on a connection.
fn shower(bus: &mut Bus, talks: &[String]) -> Result<(), String> {
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
///
/// # Errors
///
/// The question cannot be shown: why.
pub(super) fn ask(address: &str, talks: &[String], question: &Question, launcher: BorrowedFd<'_>) -> Said {
    let until = Instant::now() + PATIENCE;
    let summary = summary(&question.name).ok_or("the name is too long for a notification")?;
    let mut bus = listen(address)?;
    let (answer, shown) = loop {
        let shown = show(&mut bus, talks, question, &summary)?;
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
    Ok(answer)
}

/// What is asked in one line: with the whole name, or as many of its last labels as are shown in full anywhere. None if two are too long.
fn summary(name: &str) -> Option<String> {
    const LONGEST: usize = 40;
    let fits = |start: &usize| name.len() - start <= LONGEST;
    let starts = name.match_indices('.').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(starts).find(fits)?;
    let end = name.get(start..).filter(|end| start == 0 || end.contains('.'))?;
    let before = if start == 0 { "" } else { "…" };
    Some(format!("May a sandbox reach {before}{end}?"))
}

/// Shows the line for the profile, after an answer that is to hold for good.
pub(super) fn tell(address: &str, name: &str, line: &str) {
    // A note says it, too.
    let _ = connect(address).and_then(|mut bus| {
        let body = notification(
            &format!("{name} is reached"),
            &format!("For the runs to come, write into the profile:\n{line}"),
            &[],
        );
        bus.body_of(&method("Notify", "susssasa{sv}i"), &body)
    });
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
    let mut bus = connect(address)?;
    let rule = format!("type='signal',sender='{NOTIFICATIONS}',interface='{NOTIFICATIONS}'");
    bus.call(BUS, BUS_PATH, BUS, "AddMatch", Some(&rule))?;
    Ok(bus)
}

/// The arguments of `Notify`.
fn notification(summary: &str, text: &str, buttons: &[(&str, &str)]) -> Body {
    let mut body = Body::default();
    body.string("sbx");
    // It replaces none.
    body.number(0);
    body.string("dialog-question");
    body.string(summary);
    body.string(text);
    body.array(4, |actions| {
        for (key, label) in buttons {
            actions.string(key);
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
    body
}

fn show(bus: &mut Bus, talks: &[String], question: &Question, summary: &str) -> Result<Shown, String> {
    bus.wait_for(dbus::START);
    // Somebody else may show them since the start.
    shower(bus, talks)?;
    let encoded = match question.encoded {
        true => "\nWith letters of other alphabets, it may look like another name elsewhere.",
        false => "",
    };
    let labels = Answer::ALL.into_iter().zip(["Once, in this run", "Always", "Never"]);
    let buttons: Vec<_> = labels.map(|(answer, label)| (answer.word(), label)).collect();
    let text = format!("{}\nasked for by {}{encoded}", question.name, question.who);
    let body = notification(summary, &text, &buttons);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_is_in_the_summary_as_far_as_it_is_shown_anywhere() {
        assert_eq!(summary("one.example").as_deref(), Some("May a sandbox reach one.example?"));
        let long = format!("good.example.{}.evil.example", "x".repeat(25));
        assert_eq!(
            summary(&long).as_deref(),
            Some("May a sandbox reach …{}.evil.example?".replace("{}", &"x".repeat(25)).as_str())
        );
        assert_eq!(summary(&format!("good.{}.example", "x".repeat(40))), None);
    }
}
