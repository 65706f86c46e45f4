//! Compositors, played by a thread.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start threads and may panic"
)]

use super::*;
use std::os::unix::net::{UnixListener, UnixStream};

/// A compositor that serves one connection, and the path of its socket.
fn compositor(serve: impl FnOnce(&mut UnixStream) + Send + 'static) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wayland-0");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        serve(&mut stream);
    });
    (dir, path)
}

const LONG: Duration = Duration::from_secs(30);

fn global(name: u32, interface: &str) -> Vec<u8> {
    request(REGISTRY, 0, &[number(name), string(interface), number(1)].concat())
}

fn done(callback: u32) -> Vec<u8> {
    request(callback, 0, &number(0))
}

fn error(text: &str) -> Vec<u8> {
    request(DISPLAY, 0, &[number(1), number(0), string(text)].concat())
}

fn refused(bytes: Vec<u8>) -> String {
    let (_dir, path) = compositor(move |stream| drop(stream.write_all(&bytes)));
    describe(&Compositor::connect(&path, LONG).err().unwrap())
}

#[test]
fn what_a_compositor_offers_is_told() {
    let offers = [global(1, "wl_compositor"), global(2, "zwlr_screencopy_manager_v1"), done(ALL_TOLD)].concat();
    let (_dir, path) = compositor(move |stream| stream.write_all(&offers).unwrap());
    let found = Compositor::connect(&path, LONG).unwrap();
    assert!(!found.restricts());
    assert_eq!(found.powers().collect::<Vec<_>>(), ["zwlr_screencopy_manager_v1"]);
}

#[test]
fn a_compositor_is_given_the_socket_its_end_and_who_it_is_for() {
    let (_dir, path) = compositor(|stream| {
        stream.write_all(&[global(7, MANAGER), done(ALL_TOLD)].concat()).unwrap();
        let mut bytes = Vec::new();
        let mut descriptors = Vec::new();
        while !bytes.ends_with(&request(DISPLAY, 0, &number(COMMITTED))) {
            let mut more = [0; 512];
            let (length, descriptor) = sys::receive(stream.as_fd(), &mut more).unwrap();
            bytes.extend(&more[..length]);
            descriptors.extend(descriptor);
        }
        assert_eq!(descriptors.len(), 2);
        assert_eq!(word(&bytes, 8), Some(7), "the global's name");
        for text in ["wp_security_context_manager_v1", "org.example", "the app", "the instance"] {
            assert!(bytes.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
        }
        sys::write_all(descriptors[0].as_fd(), b"x").unwrap();
        stream.write_all(&done(COMMITTED)).unwrap();
    });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (close, _end) = sys::pipe().unwrap();
    let client = Client { engine: "org.example", app_id: "the app", instance_id: "the instance" };
    Compositor::connect(&path, LONG).unwrap().restrict(theirs.as_fd(), close.as_fd(), &client).unwrap();
    let mut byte = [0];
    (&ours).read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x", "the first descriptor is the socket");
}

#[test]
fn what_a_compositor_refuses_is_an_error() {
    assert_eq!(refused(error("no room")), "it answers with an error: no room");
    let (_dir, path) = compositor(|stream| {
        stream.write_all(&[global(7, MANAGER), done(ALL_TOLD), error("nested")].concat()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let (close, _end) = sys::pipe().unwrap();
    let client = Client { engine: "", app_id: "", instance_id: "" };
    let result = Compositor::connect(&path, LONG).unwrap().restrict(theirs.as_fd(), close.as_fd(), &client);
    assert_eq!(result.unwrap_err().to_string(), "it answers with an error: nested");
}

#[test]
fn a_hostile_compositor_is_given_up() {
    // Strings and messages that are longer than they say, or shorter than they can be.
    let cut = request(REGISTRY, 0, &[number(1), number(u32::MAX), number(0)].concat());
    assert_eq!(refused(cut), Errno(libc::EPROTO).to_string());
    assert_eq!(refused(request(REGISTRY, 0, &number(1))), Errno(libc::EPROTO).to_string());
    assert_eq!(refused([number(REGISTRY), number(4 << 16)].concat()), Errno(libc::EPROTO).to_string());
    assert_eq!(refused(Vec::new()), Errno(libc::ECONNRESET).to_string());
    let endless = global(1, &"x".repeat(60_000)).repeat(20);
    assert_eq!(refused(endless), "it sends data without end");
}

#[test]
fn a_compositor_that_trickles_or_says_nothing_is_given_up() {
    for silent in [false, true] {
        let (_dir, path) = compositor(move |stream| {
            while silent || stream.write_all(&global(1, "wl_compositor")).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let error = Compositor::connect(&path, Duration::from_millis(500)).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
    }
}

#[test]
fn interfaces_that_act_on_others_are_told_from_those_of_ones_own_windows() {
    for own in ["wl_compositor", "xdg_wm_base", "zwp_linux_dmabuf_v1", "gtk_shell1", "wp_viewporter", "zxdg_output_v1"]
    {
        assert!(!is_power(own), "{own}");
    }
    for power in [
        "zwlr_screencopy_manager_v1",
        "zwp_virtual_keyboard_manager_v1",
        "zwp_input_method_manager_v2",
        "ext_session_lock_manager_v1",
        "ext_data_control_manager_v1",
        "org_kde_kwin_fake_input",
        "hyprland_toplevel_export_manager_v1",
        "something_new",
    ] {
        assert!(is_power(power), "{power}");
    }
}
