//! Sound servers, in runtime directories of their own and without sound cards.

use super::bus::bus;
use super::process::Daemon;
use super::{Place, Ran, ran, until};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A sound server with a sink `null0` and a source `mic0`.
pub struct Audio {
    /// Its processes; the one that others need comes first.
    daemons: Vec<Daemon>,
    /// Its runtime directory.
    pub runtime: PathBuf,
}

impl Audio {
    /// PulseAudio, with modules that are loaded by default, too.
    pub fn pulseaudio(place: &Place) -> Audio {
        let mut audio = Audio::new(place);
        let modules = [
            "module-native-protocol-unix",
            "module-null-sink sink_name=null0",
            "module-null-source source_name=mic0",
            "module-filter-heuristics",
            "module-filter-apply",
            "module-stream-restore",
            "module-role-cork",
        ];
        let mut args = vec!["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--log-target=null"];
        modules.iter().for_each(|module| args.extend(["-L", module]));
        audio.start("pulseaudio", &args);
        audio.wait();
        audio
    }

    /// PipeWire with WirePlumber, and pipewire-pulse for PulseAudio's protocol.
    pub fn pipewire(place: &Place) -> Audio {
        let mut audio = Audio::new(place);
        audio.start("pipewire", &[]);
        // Its socket is there before anybody listens, and pipewire-pulse ends if it is refused then.
        let socket = audio.runtime.join("pipewire-0");
        assert!(until(|| UnixStream::connect(&socket).is_ok()));
        // WirePlumber wants a session bus. One of dbus-run-session's would stay when that is killed.
        let (daemon, address) = bus(&[]);
        audio.daemons.push(daemon);
        let mut wireplumber = audio.command("wireplumber", &[]);
        wireplumber.env("DBUS_SESSION_BUS_ADDRESS", address).stdout(Stdio::null()).stderr(Stdio::null());
        audio.daemons.push(Daemon(wireplumber.spawn().unwrap()));
        audio.start("pipewire-pulse", &[]);
        // On a busy machine it may end before it serves.
        for _ in 0..5 {
            let mut ended = false;
            assert!(until(|| {
                ended = audio.daemons.last_mut().is_some_and(|daemon| !matches!(daemon.0.try_wait(), Ok(None)));
                ended || audio.ask("pactl", &["info"]).status == Some(0)
            }));
            if !ended {
                break;
            }
            audio.daemons.pop();
            audio.start("pipewire-pulse", &[]);
        }
        audio.wait();
        // Nodes are made once WirePlumber is there, too.
        assert!(until(|| audio.ask("pactl", &["list", "short", "clients"]).out.to_lowercase().contains("wireplumber")));
        for module in [&["sink_name=null0"][..], &["media.class=Audio/Source/Virtual", "sink_name=mic0"]] {
            let load = [&["load-module", "module-null-sink"], module].concat();
            assert!(until(|| audio.ask("pactl", &load).status == Some(0)), "{:?}", audio.ask("pactl", &load));
        }
        assert!(until(|| audio.ask("pactl", &["set-default-source", "mic0"]).status == Some(0)));
        audio
    }

    fn new(place: &Place) -> Audio {
        use std::os::unix::fs::PermissionsExt;
        let runtime = place.dir.path().join("runtime");
        std::fs::create_dir(&runtime).unwrap();
        std::fs::set_permissions(&runtime, std::fs::Permissions::from_mode(0o700)).unwrap();
        Audio { daemons: Vec::new(), runtime }
    }

    fn start(&mut self, program: &str, args: &[&str]) {
        let mut command = self.command(program, args);
        self.daemons.push(Daemon(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));
    }

    /// Waits until the server answers.
    fn wait(&self) {
        let answers = || self.ask("pactl", &["info"]).status == Some(0);
        assert!(until(answers), "{:?}", self.ask("pactl", &["info"]));
    }

    /// A program outside, which finds the server.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.runtime);
        command.env("XDG_RUNTIME_DIR", &self.runtime).stdin(Stdio::null());
        command
    }

    /// Runs a program outside.
    pub fn ask(&self, program: &str, args: &[&str]) -> Ran {
        ran(self.command(program, args).output().unwrap())
    }

    /// Ends the server.
    pub fn end(&mut self) {
        self.daemons.clear();
    }
}

/// Writes a file with seconds of a tone: signed 16 bits, one channel, 8000 Hz, of the byte 0x20 and zeroes.
pub fn tone(path: &Path, seconds: usize) {
    let wave: Vec<u8> =
        (0..8000 * seconds).flat_map(|at| if at / 10 % 2 == 0 { [0, 0x20] } else { [0, 0xe0] }).collect();
    std::fs::write(path, wave).unwrap();
}

/// How many bytes of a file with recorded sound are not silence.
pub fn loud(path: &Path) -> usize {
    std::fs::read(path).unwrap_or_default().iter().filter(|byte| **byte != 0).count()
}

/// Writes a WAV file of silence.
pub fn wave(path: &Path) {
    let silence = [0; 1600];
    let word = |number: u32| number.to_le_bytes();
    // PCM, one channel, 8000 Hz, 16000 bytes a second, 2 bytes a frame, 16 bits.
    let format = [&word(16)[..], &[1, 0, 1, 0], &word(8000), &word(16000), &[2, 0, 16, 0]].concat();
    let parts = [b"WAVEfmt ", &format[..], b"data", &word(silence.len() as u32), &silence].concat();
    std::fs::write(path, [b"RIFF", &word(parts.len() as u32)[..], &parts].concat()).unwrap();
}
