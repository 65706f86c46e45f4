//! The commands of PulseAudio's protocol (`pulsecore/native-common.h` in its source), and what becomes of each.

/// What a profile grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grants {
    /// Playing sound.
    pub play: bool,
    /// Recording from microphones and other sources that are no monitors.
    pub record: bool,
    /// Recording from monitors, which is what other programs play.
    pub monitor: bool,
}

/// What becomes of a client's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The greeting: answered once, with a cookie of the proxy's and without shared memory.
    Greet,
    /// Passed on.
    Pass,
    /// Passed on if playback is granted.
    Play,
    /// Passed on if recording is granted.
    Record,
    /// Passed on if recording is granted, else answered as if there were no such thing.
    SeeSources,
    /// A stream is made, once the device is known to be one.
    Create(Direction),
    /// A stream of this connection, by its channel, is ended.
    Delete(Direction),
    /// Passed on if its first value is the server's number of a stream of this connection.
    Own(Direction),
    /// Passed on if its first value is the server's number of this client.
    OwnClient,
    /// Asks for events: those of other programs are not among them.
    Subscribe,
    /// Keys of properties to remove, of which only those that a client may set pass.
    RemoveKeys,
    /// Answered with a list of nothing.
    Nothing,
    /// Answered as if there were no such thing.
    Absent,
    /// Answered as if the server did not have this extension.
    NoExtension,
    /// Refused, and the user is told.
    Refuse,
    /// No command of a client.
    Wrong,
}

/// The direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the program to a sink.
    Playback,
    /// From a source to the program.
    Record,
}

/// What becomes of a command that the server sends on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Passed on.
    Pass,
    /// A stream of this connection was ended by the server.
    Killed(Direction),
    /// A record stream of this connection has another source from here on.
    RecordMoved,
    /// Something has changed: passed on unless it is another program's.
    Changed,
    /// Not passed on.
    Drop,
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// The name, without the prefix `PA_COMMAND_`.
    pub name: &'static str,
    /// What becomes of it if a client sends it.
    pub rule: Rule,
    /// The types of its values, as [`super::tags::matches`] takes them.
    pub values: &'static str,
    /// What becomes of it if the server sends it.
    pub event: Event,
}

/// A command of clients.
const fn client(name: &'static str, rule: Rule, values: &'static str) -> Command {
    Command { name, rule, values, event: Event::Drop }
}

/// A command of servers.
const fn server(name: &'static str, event: Event) -> Command {
    Command { name, rule: Rule::Wrong, values: "", event }
}

/// A command that is refused.
const fn refused(name: &'static str) -> Command {
    client(name, Rule::Refuse, "*")
}

use Direction::{Playback, Record};

/// Numbers of the commands that the proxy itself makes.
pub mod number {
    /// An error: the answer to a request that failed.
    pub const ERROR: u32 = 0;
    /// The answer to a request.
    pub const REPLY: u32 = 2;
    /// Makes a record stream.
    pub const CREATE_RECORD_STREAM: u32 = 5;
    /// Ends a record stream.
    pub const DELETE_RECORD_STREAM: u32 = 6;
    /// The greeting.
    pub const AUTH: u32 = 8;
    /// The client's own name, which is answered with its number.
    pub const SET_CLIENT_NAME: u32 = 9;
    /// Waits until what has been sent to a stream is played.
    pub const DRAIN_PLAYBACK_STREAM: u32 = 12;
    /// Describes the server.
    pub const GET_SERVER_INFO: u32 = 20;
    /// Describes a sink.
    pub const GET_SINK_INFO: u32 = 21;
    /// Describes a source.
    pub const GET_SOURCE_INFO: u32 = 23;
    /// Loads a module.
    pub const LOAD_MODULE: u32 = 51;
    /// A record stream was ended by the server.
    pub const RECORD_STREAM_KILLED: u32 = 65;
}

/// All commands, by their numbers.
pub const COMMANDS: [Command; 105] = [
    server("ERROR", Event::Drop),
    server("TIMEOUT", Event::Drop),
    server("REPLY", Event::Drop),
    client("CREATE_PLAYBACK_STREAM", Rule::Create(Playback), "amLtLbLLLLvbbbbbbbbbP*"),
    client("DELETE_PLAYBACK_STREAM", Rule::Delete(Playback), "L"),
    client("CREATE_RECORD_STREAM", Rule::Create(Record), "amLtLbLbbbbbbbbbPL*"),
    client("DELETE_RECORD_STREAM", Rule::Delete(Record), "L"),
    refused("EXIT"),
    client("AUTH", Rule::Greet, "Lx"),
    client("SET_CLIENT_NAME", Rule::Pass, "P"),
    client("LOOKUP_SINK", Rule::Pass, "t"),
    client("LOOKUP_SOURCE", Rule::SeeSources, "t"),
    client("DRAIN_PLAYBACK_STREAM", Rule::Play, "L"),
    refused("STAT"),
    client("GET_PLAYBACK_LATENCY", Rule::Play, "LT"),
    refused("CREATE_UPLOAD_STREAM"),
    refused("DELETE_UPLOAD_STREAM"),
    refused("FINISH_UPLOAD_STREAM"),
    client("PLAY_SAMPLE", Rule::Absent, "*"),
    refused("REMOVE_SAMPLE"),
    client("GET_SERVER_INFO", Rule::Pass, ""),
    client("GET_SINK_INFO", Rule::Pass, "Lt"),
    client("GET_SINK_INFO_LIST", Rule::Pass, ""),
    client("GET_SOURCE_INFO", Rule::SeeSources, "Lt"),
    client("GET_SOURCE_INFO_LIST", Rule::SeeSources, ""),
    client("GET_MODULE_INFO", Rule::Absent, "*"),
    client("GET_MODULE_INFO_LIST", Rule::Nothing, ""),
    client("GET_CLIENT_INFO", Rule::OwnClient, "L"),
    client("GET_CLIENT_INFO_LIST", Rule::Nothing, ""),
    client("GET_SINK_INPUT_INFO", Rule::Own(Playback), "L"),
    client("GET_SINK_INPUT_INFO_LIST", Rule::Nothing, ""),
    client("GET_SOURCE_OUTPUT_INFO", Rule::Own(Record), "L"),
    client("GET_SOURCE_OUTPUT_INFO_LIST", Rule::Nothing, ""),
    client("GET_SAMPLE_INFO", Rule::Absent, "*"),
    client("GET_SAMPLE_INFO_LIST", Rule::Nothing, ""),
    client("SUBSCRIBE", Rule::Subscribe, "L"),
    refused("SET_SINK_VOLUME"),
    client("SET_SINK_INPUT_VOLUME", Rule::Own(Playback), "Lv"),
    refused("SET_SOURCE_VOLUME"),
    refused("SET_SINK_MUTE"),
    refused("SET_SOURCE_MUTE"),
    client("CORK_PLAYBACK_STREAM", Rule::Play, "Lb"),
    client("FLUSH_PLAYBACK_STREAM", Rule::Play, "L"),
    client("TRIGGER_PLAYBACK_STREAM", Rule::Play, "L"),
    refused("SET_DEFAULT_SINK"),
    refused("SET_DEFAULT_SOURCE"),
    client("SET_PLAYBACK_STREAM_NAME", Rule::Play, "Lt"),
    client("SET_RECORD_STREAM_NAME", Rule::Record, "Lt"),
    refused("KILL_CLIENT"),
    refused("KILL_SINK_INPUT"),
    refused("KILL_SOURCE_OUTPUT"),
    refused("LOAD_MODULE"),
    refused("UNLOAD_MODULE"),
    refused("ADD_AUTOLOAD"),
    refused("REMOVE_AUTOLOAD"),
    refused("GET_AUTOLOAD_INFO"),
    refused("GET_AUTOLOAD_INFO_LIST"),
    client("GET_RECORD_LATENCY", Rule::Record, "LT"),
    client("CORK_RECORD_STREAM", Rule::Record, "Lb"),
    client("FLUSH_RECORD_STREAM", Rule::Record, "L"),
    client("PREBUF_PLAYBACK_STREAM", Rule::Play, "L"),
    server("REQUEST", Event::Pass),
    server("OVERFLOW", Event::Pass),
    server("UNDERFLOW", Event::Pass),
    server("PLAYBACK_STREAM_KILLED", Event::Killed(Playback)),
    server("RECORD_STREAM_KILLED", Event::Killed(Record)),
    server("SUBSCRIBE_EVENT", Event::Changed),
    client("MOVE_SINK_INPUT", Rule::Own(Playback), "LLt"),
    refused("MOVE_SOURCE_OUTPUT"),
    client("SET_SINK_INPUT_MUTE", Rule::Own(Playback), "Lb"),
    refused("SUSPEND_SINK"),
    refused("SUSPEND_SOURCE"),
    client("SET_PLAYBACK_STREAM_BUFFER_ATTR", Rule::Play, "LLLLL*"),
    client("SET_RECORD_STREAM_BUFFER_ATTR", Rule::Record, "LLL*"),
    client("UPDATE_PLAYBACK_STREAM_SAMPLE_RATE", Rule::Play, "LL"),
    client("UPDATE_RECORD_STREAM_SAMPLE_RATE", Rule::Record, "LL"),
    server("PLAYBACK_STREAM_SUSPENDED", Event::Pass),
    server("RECORD_STREAM_SUSPENDED", Event::Pass),
    server("PLAYBACK_STREAM_MOVED", Event::Pass),
    server("RECORD_STREAM_MOVED", Event::RecordMoved),
    client("UPDATE_RECORD_STREAM_PROPLIST", Rule::Record, "LLP"),
    client("UPDATE_PLAYBACK_STREAM_PROPLIST", Rule::Play, "LLP"),
    client("UPDATE_CLIENT_PROPLIST", Rule::Pass, "LP"),
    client("REMOVE_RECORD_STREAM_PROPLIST", Rule::RemoveKeys, "Lt*"),
    client("REMOVE_PLAYBACK_STREAM_PROPLIST", Rule::RemoveKeys, "Lt*"),
    client("REMOVE_CLIENT_PROPLIST", Rule::RemoveKeys, "t*"),
    server("STARTED", Event::Pass),
    client("EXTENSION", Rule::NoExtension, "*"),
    client("GET_CARD_INFO", Rule::Absent, "*"),
    client("GET_CARD_INFO_LIST", Rule::Nothing, ""),
    refused("SET_CARD_PROFILE"),
    server("CLIENT_EVENT", Event::Pass),
    server("PLAYBACK_STREAM_EVENT", Event::Pass),
    server("RECORD_STREAM_EVENT", Event::Pass),
    server("PLAYBACK_BUFFER_ATTR_CHANGED", Event::Pass),
    server("RECORD_BUFFER_ATTR_CHANGED", Event::Pass),
    refused("SET_SINK_PORT"),
    refused("SET_SOURCE_PORT"),
    client("SET_SOURCE_OUTPUT_VOLUME", Rule::Own(Record), "Lv"),
    client("SET_SOURCE_OUTPUT_MUTE", Rule::Own(Record), "Lb"),
    refused("SET_PORT_LATENCY_OFFSET"),
    refused("ENABLE_SRBCHANNEL"),
    refused("DISABLE_SRBCHANNEL"),
    refused("REGISTER_MEMFD_SHMID"),
    refused("SEND_OBJECT_MESSAGE"),
];

impl Direction {
    /// Whether streams of this direction are granted.
    pub fn is_granted(self, grants: Grants) -> bool {
        match self {
            Playback => grants.play,
            Record => grants.record || grants.monitor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_in_use_are_those_of_the_names() {
        use number::*;
        for (number, name) in [
            (ERROR, "ERROR"),
            (REPLY, "REPLY"),
            (CREATE_RECORD_STREAM, "CREATE_RECORD_STREAM"),
            (DELETE_RECORD_STREAM, "DELETE_RECORD_STREAM"),
            (DRAIN_PLAYBACK_STREAM, "DRAIN_PLAYBACK_STREAM"),
            (AUTH, "AUTH"),
            (SET_CLIENT_NAME, "SET_CLIENT_NAME"),
            (GET_SERVER_INFO, "GET_SERVER_INFO"),
            (GET_SINK_INFO, "GET_SINK_INFO"),
            (GET_SOURCE_INFO, "GET_SOURCE_INFO"),
            (LOAD_MODULE, "LOAD_MODULE"),
            (RECORD_STREAM_KILLED, "RECORD_STREAM_KILLED"),
            // The others that a mistake in the order of the table would move.
            (61, "REQUEST"),
            (79, "RECORD_STREAM_MOVED"),
            (87, "EXTENSION"),
            (104, "SEND_OBJECT_MESSAGE"),
        ] {
            assert_eq!(COMMANDS[number as usize].name, name);
        }
    }
}
